import { afterEach, describe, expect, test, vi } from 'vitest'
import { EtcdUnavailable } from '../../../store/etcd/errors.ts'
import { etcdBehindProxy } from '../../fixtures/etcd-behind-proxy.ts'
import { eventually } from '../eventually.ts'

// Leases behind a connection that misbehaves: etcd3 1.1.2 tells of the loss late and by the wall clock; the store asks etcd.

const { direct, proxy, through, bare } = etcdBehindProxy()
afterEach(() => vi.restoreAllMocks())

const isGone = (key: string) => async () => (await direct.get(key)) === undefined

describe('a lease that ran out behind a dead connection', () => {
  test('is still held according to etcd3 alone', async () => {
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

  test('fails to be kept alive with the store, and then is 0', async () => {
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

describe('a wall clock that is set forward an hour', () => {
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

  test('changes nothing with the store', async () => {
    const { id, ttl } = await through.lease(30)
    const now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => now + 3_600_000)
    proxy.cut()
    const left = await eventually('an answer', () => through.keepAlive(id, 1_000).catch(() => undefined))
    expect(left).toBe(ttl)
  })
})

test('a keepalive in flight does not go to the connection that swallowed the one before', async () => {
  const { id, ttl } = await through.lease(30)
  proxy.stall()
  await expect(through.keepAlive(id, 500)).rejects.toBeInstanceOf(EtcdUnavailable)
  expect(await through.keepAlive(id, 10_000)).toBe(ttl)
})

// lock() and election() of etcd3 are not offered at all: neither fences, so a holder that was cut off goes on.
