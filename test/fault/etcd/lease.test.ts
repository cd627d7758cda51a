import { afterEach, describe, expect, test, vi } from 'vitest'
import { EtcdUnavailable } from '../../../store/etcd/errors.ts'
import { etcdBehindProxy } from '../../fixtures/etcd-behind-proxy.ts'
import { eventually } from '../eventually.ts'

// Leases over a faulty connection: etcd3 1.1.2 reports the loss late and by the wall clock; this client asks etcd.

const { direct, proxy, through, bare } = etcdBehindProxy()
afterEach(() => vi.restoreAllMocks())

const isGone = (key: string) => async () => (await direct.get(key)) === undefined

describe('a lease that expired behind a dead connection', () => {
  test('still lives according to etcd3 alone', async () => {
    const lease = bare().lease(3)
    let lost = false
    lease.on('lost', () => {
      lost = true
    })
    await lease.put('bare').value('x').exec()
    proxy.set({ kind: 'blackhole' })
    await eventually('the key is gone', isGone('bare'))
    expect(lost).toBe(false)
    lease.release()
  })

  test('cannot be kept alive with this client, and then has 0 seconds left', async () => {
    const { id, ttl } = await through.lease(2)
    await through.txn({ compare: [], then: [{ put: 'ours', value: 'x', lease: id }] })
    expect(await through.keepAlive(id, 1_000)).toBe(ttl)
    proxy.set({ kind: 'blackhole' })
    await expect(through.keepAlive(id, 500)).rejects.toBeInstanceOf(EtcdUnavailable)
    await eventually('the key is gone', isGone('ours'))
    proxy.set({ kind: 'pass' })
    proxy.cut()
    const left = await eventually('an answer', () => through.keepAlive(id, 1_000).then(String, () => ''))
    expect(left).toBe('0')
  })
})

describe('a wall clock that is set forward by an hour', () => {
  test('loses a living lease with etcd3 alone', async () => {
    const lease = bare().lease(30)
    let lost = false
    lease.on('lost', () => {
      lost = true
    })
    await lease.put('bare-clock').value('x').exec()
    const now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => now + 3_600_000)
    proxy.cut()
    await eventually('etcd3 gives it up', () => lost)
    expect(await isGone('bare-clock')()).toBe(false)
  })

  test('changes nothing with this client', async () => {
    const { id, ttl } = await through.lease(30)
    const now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => now + 3_600_000)
    proxy.cut()
    const left = await eventually('an answer', () => through.keepAlive(id, 1_000).catch(() => undefined))
    expect(left).toBe(ttl)
  })
})

test('the next keepalive does not use the connection that lost the one before', async () => {
  const { id, ttl } = await through.lease(30)
  proxy.stall()
  await expect(through.keepAlive(id, 500)).rejects.toBeInstanceOf(EtcdUnavailable)
  expect(await through.keepAlive(id, 10_000)).toBe(ttl)
})

// There is no lock() or election() as in etcd3: neither fences, so a holder that was cut off continues.
