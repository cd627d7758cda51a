import { beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../../platform/log.ts'
import { createBatcher } from '../../../store/etcd/batcher.ts'
import { connectEtcd } from '../../../store/etcd/client.ts'
import { EtcdRefused, EtcdUnavailable } from '../../../store/etcd/errors.ts'
import type { BatchAnswer, Op, Txn } from '../../../store/etcd/types.ts'
import { eventually } from '../../fault/eventually.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'

describe.each([1, 3])('etcd with %i members', size => {
  const { cluster, etcd } = etcdForAll(size)
  let prefix = ''
  let tests = 0

  beforeEach(() => {
    tests += 1
    prefix = `t${tests}/`
  })

  const key = (name: string | number) => `${prefix}${name}`
  const put = (name: string | number, value = 'x'): Txn => ({
    compare: [{ key: key(name), mod: 0 }],
    then: [{ put: key(name), value }],
    else: [{ get: key(name) }],
  })
  const okOf = (answer: BatchAnswer) => ('ambiguous' in answer ? answer.ambiguous : answer.ok)
  const requestsOf = (answers: BatchAnswer[]) =>
    new Set(answers.map(answer => ('ambiguous' in answer ? -1 : answer.revision))).size

  test('a key that was put is read with its revisions; an absent one is undefined', async () => {
    const made = await etcd.txn(put('a', 'grün ✓'))
    const { revision } = await etcd.txn({ compare: [], then: [{ put: key('a'), value: 'grün ✓✓' }] })
    expect(await etcd.get(key('a'))).toEqual({
      key: key('a'),
      value: 'grün ✓✓',
      mod: revision,
      create: made.revision,
      lease: '0',
    })
    expect(await etcd.get(key('b'))).toBeUndefined()
  })

  test('a transaction whose comparisons fail reads the else branch and writes nothing', async () => {
    await etcd.txn(put('a', '1'))
    const answer = await etcd.txn({ ...put('a', '2'), else: [{ get: key('a') }, { get: key('none') }] })
    expect(answer.ok).toBe(false)
    expect(answer.gets.map(kv => kv?.value)).toEqual(['1', undefined])
  })

  test('comparisons test the mod revision, the create revision, the value and the lease', async () => {
    const { id } = await etcd.lease(60)
    const { revision } = await etcd.txn({ compare: [], then: [{ put: key('a'), value: 'v', lease: id }] })
    const holds = async (compare: object) =>
      (await etcd.txn({ compare: [{ key: key('a'), ...compare } as never], then: [] })).ok
    expect(await holds({ mod: revision })).toBe(true)
    expect(await holds({ mod: revision + 1 })).toBe(false)
    expect(await holds({ create: revision })).toBe(true)
    expect(await holds({ create: 0 })).toBe(false)
    expect(await holds({ value: 'v' })).toBe(true)
    expect(await holds({ value: 'w' })).toBe(false)
    expect(await holds({ lease: id })).toBe(true)
    expect(await holds({ lease: '0' })).toBe(false)
    await etcd.revoke(id)
    expect(await holds({ create: 0 })).toBe(true)
    expect(await holds({ mod: 0 })).toBe(true)
    expect(await holds({ value: '' })).toBe(false)
  })

  test('ignoreLease keeps the lease of a key; a put without it detaches the key', async () => {
    const { id } = await etcd.lease(60)
    await etcd.txn({ compare: [], then: [{ put: key('a'), value: '1', lease: id }] })
    await etcd.txn({ compare: [], then: [{ put: key('a'), value: '2', ignoreLease: true }] })
    expect((await etcd.get(key('a')))?.lease).toBe(id)
    await etcd.txn({ compare: [], then: [{ put: key('a'), value: '3' }] })
    expect((await etcd.get(key('a')))?.lease).toBe('0')
    await etcd.revoke(id)
  })

  test('a deletion removes one key, or all under a prefix', async () => {
    await etcd.batch(['a', 'ab', 'b/1', 'b/2', 'b0'].map(name => put(name)))
    await etcd.txn({ compare: [], then: [{ delete: key('a') }, { delete: key('b/'), prefix: true }] })
    const { items } = await etcd.list(prefix)
    expect(items.map(item => item.key)).toEqual([key('ab'), key('b0')])
  })

  test('a refused request is EtcdRefused and was not applied', async () => {
    const twice: Txn = { compare: [], then: [...put('a').then, ...put('a').then] }
    await expect(etcd.txn(twice)).rejects.toBeInstanceOf(EtcdRefused)
    await expect(etcd.txn(put('big', 'x'.repeat(2_000_000)))).rejects.toThrow('too large')
    expect((await etcd.list(prefix)).items).toEqual([])
  })

  test('a put on a lease that is gone is not applied', async () => {
    const gone = etcd.txn({ compare: [], then: [{ put: key('a'), value: 'x', lease: '42' }] })
    await expect(gone).rejects.toMatchObject({ name: 'Unavailable', code: 'LeaseNotFound' })
    expect(await etcd.get(key('a'))).toBeUndefined()
  })

  test('10,000 keys are listed in order at one revision, while others write', async () => {
    const names = Array.from({ length: 10_000 }, (_, n) => String(n).padStart(5, '0'))
    await etcd.batch(names.map(name => put(name)))
    const stop = new AbortController()
    let extra = 0
    const writer = (async () => {
      while (!stop.signal.aborted) await etcd.txn(put(`zz${(extra += 1)}`))
    })()
    const { items, revision } = await etcd.list(prefix)
    stop.abort()
    await writer
    expect(items.slice(0, 10_000).map(item => item.key)).toEqual(names.map(key))
    expect(items.every(item => item.mod <= revision)).toBe(true)
    const last = await etcd.get(key(`zz${items.length - 10_000}`))
    expect(items.length === 10_000 || (last?.mod ?? Infinity) <= revision).toBe(true)
  })

  test('large values are listed', async () => {
    const value = 'v'.repeat(64 * 1024)
    await etcd.batch(Array.from({ length: 100 }, (_, n) => put(n, value)))
    const { items } = await etcd.list(prefix)
    expect(items.length).toBe(100)
    expect(items.every(item => item.value === value)).toBe(true)
  })

  describe('a batch', () => {
    test('is one request for each 100 transactions', async () => {
      const answers = await etcd.batch(Array.from({ length: 250 }, (_, n) => put(n)))
      expect(answers.map(okOf)).toEqual(Array.from({ length: 250 }, () => true))
      expect(requestsOf(answers)).toBe(3)
    })

    test('lets one transaction fail without the others', async () => {
      await etcd.txn(put('b', 'before'))
      const answers = await etcd.batch([put('a'), put('b'), put('c')])
      expect(answers.map(okOf)).toEqual([true, false, true])
      expect(answers[1]).toMatchObject({ gets: [{ value: 'before' }] })
    })

    test('sends transactions that write the same key one after another, in order', async () => {
      const answers = await etcd.batch([put('a', '1'), put('a', '2'), put('b')])
      expect(answers.map(okOf)).toEqual([true, false, true])
      expect(requestsOf(answers)).toBe(2)
    })

    test('may share a key that is only compared', async () => {
      const { revision } = await etcd.txn(put('registration'))
      const registered = { key: key('registration'), mod: revision }
      const claims = [1, 2, 3].map(n => ({ ...put(n), compare: [registered] }))
      expect(requestsOf(await etcd.batch(claims))).toBe(1)
    })

    test('does not fail because etcd refuses one transaction', async () => {
      const leaseless: Txn = { compare: [], then: [{ put: key('b'), value: 'x', lease: '42' }] }
      const [first, second, third] = await etcd.batch([put('a'), leaseless, put('c')])
      expect(first).toMatchObject({ ok: true })
      expect(second).toMatchObject({ ambiguous: { code: 'LeaseNotFound' } })
      expect(third).toMatchObject({ ok: true })
    })

    test('combines transactions of up to 28 operations, and sends a larger one alone', async () => {
      const many = (name: string, count: number): Txn => ({
        compare: [],
        then: Array.from({ length: count }, (_, n): Op => ({ put: key(`${name}/${n}`), value: 'x' })),
      })
      const hundred = Array.from({ length: 99 }, (_, n) => put(n))
      expect(requestsOf(await etcd.batch([many('a', 28), ...hundred]))).toBe(1)
      const answers = await etcd.batch([put('b'), many('c', 29), put('d'), many('e', 128)])
      expect(answers.map(okOf)).toEqual([true, true, true, true])
      expect(requestsOf(answers)).toBe(4)
    })

    test('sends at most 1 MiB per request', async () => {
      const value = 'v'.repeat(300_000)
      const answers = await etcd.batch([1, 2, 3, 4, 5, 6, 7].map(n => put(n, value)))
      expect(answers.map(okOf)).toEqual([1, 2, 3, 4, 5, 6, 7].map(() => true))
      expect(requestsOf(answers)).toBe(3)
    })

    test('without transactions resolves to no answers', async () => {
      expect(await etcd.batch([])).toEqual([])
    })
  })

  describe('a batcher', () => {
    test('sends the transactions of one turn as one request', async () => {
      const batcher = createBatcher(etcd)
      const answers = await Promise.all([1, 2, 3].map(n => batcher.txn(put(n))))
      expect(answers.map(answer => answer.ok)).toEqual([true, true, true])
      expect(requestsOf(answers)).toBe(1)
    })

    test('collects transactions while a request is in flight', async () => {
      const batcher = createBatcher(etcd)
      const first = batcher.txn(put('first'))
      await new Promise(setImmediate)
      const rest = await Promise.all([first, ...[1, 2, 3].map(n => batcher.txn(put(n)))])
      expect(requestsOf(rest.slice(1))).toBe(1)
      expect((await batcher.txn(put('later'))).ok).toBe(true)
    })

    test('rejects only the transaction that was refused', async () => {
      const batcher = createBatcher(etcd)
      const leaseless = batcher.txn({ compare: [], then: [{ put: key('a'), value: 'x', lease: '42' }] })
      const fine = batcher.txn(put('b'))
      await expect(leaseless).rejects.toBeInstanceOf(EtcdUnavailable)
      expect((await fine).ok).toBe(true)
    })
  })

  describe('a lease', () => {
    test('deletes its keys when it is revoked, and then has 0 seconds left', async () => {
      const { id, ttl } = await etcd.lease(60)
      expect(ttl).toBe(60)
      await etcd.txn({ compare: [], then: [{ put: key('a'), value: 'x', lease: id }] })
      expect(await etcd.keepAlive(id, 10_000)).toBe(60)
      await etcd.revoke(id)
      await etcd.revoke(id)
      expect(await etcd.get(key('a'))).toBeUndefined()
      expect(await etcd.keepAlive(id, 10_000)).toBe(0)
    })

    test('expires when it is not kept alive', async () => {
      const { id } = await etcd.lease(1)
      await etcd.txn({ compare: [], then: [{ put: key('a'), value: 'x', lease: id }] })
      await eventually('the key is gone', async () => !(await etcd.get(key('a'))))
      expect(await etcd.keepAlive(id, 10_000)).toBe(0)
    })
  })

  test('the status has version, sizes, quota and leader', async () => {
    const status = await etcd.status()
    expect(status.version).toMatch(/^3\.6\./)
    expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse)
    expect(status.dbSizeInUse).toBeGreaterThan(0)
    expect(status.dbSizeQuota).toBe(2 * 1024 ** 3)
    expect(status.leader).not.toBe('0')
    expect(status.alarms).toEqual([])
  })

  test('after close every call is Closed', async () => {
    const other = connectEtcd({ endpoints: cluster.endpoints, log: silentLog })
    const view = other.view(prefix)
    await view.ready()
    await other.close()
    expect(view.synced).toBe(false)
    await expect(other.get(key('a'))).rejects.toMatchObject({ code: 'Closed' })
    await expect(other.txn(put('a'))).rejects.toMatchObject({ code: 'Closed' })
    await expect(other.view(prefix).ready()).rejects.toMatchObject({ code: 'Closed' })
  })
})
