import { beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../../platform/log.ts'
import { connectEtcd } from '../../../store/etcd/client.ts'
import type { Change } from '../../../store/etcd/types.ts'
import { eventually } from '../../fault/eventually.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'

describe.each([1, 3])('a view of etcd with %i members', size => {
  const { cluster, etcd } = etcdForAll(size)
  let prefix = ''
  let tests = 0

  beforeEach(() => {
    tests += 1
    prefix = `v${tests}/`
  })

  const put = (name: string, value: string) =>
    etcd.txn({ compare: [], then: [{ put: prefix + name, value }] })
  const remove = (name: string) => etcd.txn({ compare: [], then: [{ delete: prefix + name }] })

  test('is not listed again while nothing is written, and reports listed items once', async () => {
    const own = connectEtcd({ endpoints: cluster.endpoints, log: silentLog, watchDeadlineMs: 2_000 })
    await put('a', '1')
    const view = own.view(prefix)
    const told: string[] = []
    let lists = 0
    view.onChange(({ key }) => told.push(key))
    view.onSync(() => lists++)
    await view.ready()
    const since = performance.now()
    await eventually('twice the deadline', () => performance.now() - since > 4_000)
    expect({ lists, told }).toEqual({ lists: 1, told: [`${prefix}a`] })
    await own.close()
  })

  test('has the existing items, and reports each change with the value before', async () => {
    await put('a', '1')
    const view = etcd.view(prefix)
    const changes: Change[] = []
    view.onChange(change => changes.push(change))
    await view.ready()
    expect(view.synced).toBe(true)
    expect(view.items.get(`${prefix}a`)?.value).toBe('1')
    await put('a', '2')
    const { revision } = await remove('a')
    await eventually('both changes', () => changes.length === 3)
    expect(changes.map(({ now, before }) => [before?.value, now?.value])).toEqual([
      [undefined, '1'],
      ['1', '2'],
      ['2', undefined],
    ])
    expect(view.items.size).toBe(0)
    expect(view.revision).toBeGreaterThanOrEqual(revision)
    await view.close()
  })

  test('recognizes a released value, and reports a changed one', async () => {
    await put('a', '1')
    await put('b', '1')
    const view = etcd.view(prefix)
    await view.ready()
    view.release(`${prefix}a`)
    expect(view.items.get(`${prefix}a`)).toMatchObject({ value: '', mod: expect.any(Number) })
    const changes: Change[] = []
    view.onChange(change => changes.push(change))
    await put('a', '2')
    await eventually('the change', () => changes.length === 1)
    expect(changes[0]).toMatchObject({ key: `${prefix}a`, now: { value: '2' }, before: { value: '' } })
    await view.close()
  })

  test('reports changes in revision order, after the items have them', async () => {
    const view = etcd.view(prefix)
    await view.ready()
    const mods: number[] = []
    view.onChange(({ key, now }) => {
      expect(view.items.get(key)).toBe(now)
      if (now) mods.push(now.mod)
    })
    const names = Array.from({ length: 300 }, (_, n) => `k${n}`)
    await etcd.batch(names.map(name => ({ compare: [], then: [{ put: prefix + name, value: 'x' }] })))
    await eventually('all changes', () => mods.length === 300)
    expect(mods).toEqual([...mods].sort((a, b) => a - b))
    await view.close()
  })

  test('shares one stream with another view, whose end does not disturb it', async () => {
    const one = etcd.view(`${prefix}one/`)
    const two = etcd.view(`${prefix}two/`)
    let syncs = 0
    two.onSync(() => (syncs += 1))
    await Promise.all([one.ready(), two.ready()])
    await put('one/a', 'x')
    await put('two/a', 'x')
    await eventually('both', () => one.items.size === 1 && two.items.size === 1)
    await one.close()
    await put('two/b', 'x')
    await eventually('the other', () => two.items.size === 2)
    expect(syncs).toBe(1)
    await two.close()
  })

  test('is not stopped by a listener that throws, nor are other listeners', async () => {
    const view = etcd.view(prefix)
    const seen: string[] = []
    view.onChange(() => {
      throw new Error('a bug')
    })
    const stop = view.onChange(({ key }) => seen.push(key))
    await view.ready()
    await put('a', '1')
    await eventually('the change', () => seen.length === 1)
    stop()
    await put('b', '1')
    await eventually('the item', () => view.items.size === 2)
    expect(seen).toEqual([`${prefix}a`])
    await view.close()
  })

  test('receives many large values', async () => {
    const view = etcd.view(prefix)
    await view.ready()
    const value = 'v'.repeat(500_000)
    await Promise.all(Array.from({ length: 12 }, (_, n) => put(`big${n}`, value)))
    await eventually('all', () => view.items.size === 12)
    expect([...view.items.values()].every(item => item.value === value)).toBe(true)
    await view.close()
  })

  test('loses the keys of a lease that expires', async () => {
    const view = etcd.view(prefix)
    await view.ready()
    const { id } = await etcd.lease(1)
    await etcd.txn({ compare: [], then: [{ put: `${prefix}a`, value: 'x', lease: id }] })
    await eventually('the key', () => view.items.get(`${prefix}a`)?.lease === id)
    await eventually('its end', () => view.items.size === 0)
    await view.close()
  })

  test("rejects ready with the signal's reason, and when it is closed", async () => {
    const view = etcd.view(prefix)
    await expect(view.ready(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
    await view.close()
    const closed = etcd.view(prefix)
    const ready = closed.ready()
    await closed.close()
    await expect(ready).rejects.toMatchObject({ code: 'Closed' })
  })

  test('holds 20,000 keys', async () => {
    const names = Array.from({ length: 20_000 }, (_, n) => `${prefix}some/namespace/job-${n}`)
    await etcd.batch(names.map(name => ({ compare: [], then: [{ put: name, value: 'x'.repeat(100) }] })))
    const view = etcd.view(prefix)
    await view.ready()
    expect(view.items.size).toBe(20_000)
    await view.close()
  })
})
