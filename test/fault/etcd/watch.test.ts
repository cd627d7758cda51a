import { Etcd3, type Watcher } from 'etcd3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { View } from '../../../store/etcd/client.ts'
import { etcdBehindProxy } from '../../fixtures/etcd-behind-proxy.ts'
import { eventually } from '../eventually.ts'

// Watches over a faulty connection: what etcd3 1.1.2 alone loses, and that a view loses nothing.

const { cluster, direct, proxy, through, bare } = etcdBehindProxy()
let plain: Etcd3
let prefix: string
let tests = 0

beforeAll(() => {
  plain = new Etcd3({ hosts: cluster.endpoints })
})
afterAll(() => plain?.close())
beforeEach(() => {
  tests += 1
  prefix = `t${tests}/`
})

async function put(key: string, value = 'x'): Promise<number> {
  return (await direct.txn({ compare: [], then: [{ put: prefix + key, value }] })).revision
}

async function bareWatch(): Promise<{ watcher: Watcher; seen: Set<string>; errors: Error[] }> {
  const seen = new Set<string>()
  const errors: Error[] = []
  const watcher = await bare().watch().prefix(prefix).create()
  watcher.on('put', kv => seen.add(kv.key.toString().slice(prefix.length)))
  watcher.on('error', error => errors.push(error))
  return { watcher, seen, errors }
}

async function view(): Promise<{ view: View; seen: Set<string> }> {
  const seen = new Set<string>()
  const view = through.view(prefix)
  view.onChange(({ key }) => seen.add(key.slice(prefix.length)))
  await view.ready()
  await eventually('the watch is on', async () => {
    const probe = `probe-${await put('probe')}`
    await put(probe)
    return await eventually('the probe', () => seen.has(probe), 5_000).catch(() => false)
  })
  return { view, seen }
}

/** Cuts the connection, changes a key, and cuts it again just after etcd acknowledged the new watch. */
async function breakTwice(): Promise<void> {
  proxy.set({ kind: 'refuse' })
  proxy.cut()
  await put('missed', 'y'.repeat(200_000))
  const before = proxy.accepted
  proxy.set({ kind: 'cut-answers', bytes: 500 })
  await eventually('it connected again', () => proxy.accepted > before)
  const cut = proxy.accepted
  await eventually('and again', () => proxy.accepted > cut)
  proxy.set({ kind: 'pass' })
  proxy.cut()
}

describe('a watch that reconnects', () => {
  test('loses events with etcd3 alone', async () => {
    const { seen } = await bareWatch()
    await put('first')
    await eventually('the first event', () => seen.has('first'))
    await breakTwice()
    await eventually('a later event', async () => {
      await put('later')
      return seen.has('later')
    })
    expect(seen.has('missed')).toBe(false)
  })

  test('loses no events with a view', async () => {
    const { seen } = await view()
    await breakTwice()
    await eventually('the missed event', () => seen.has('missed'))
    await put('later')
    await eventually('a later event', () => seen.has('later'))
  })
})

describe('a watch whose revision was compacted', () => {
  async function compactMeanwhile(): Promise<void> {
    proxy.set({ kind: 'refuse' })
    proxy.cut()
    await put('missed')
    await plain.kv.compact({ revision: await put('filler'), physical: true })
    proxy.set({ kind: 'pass' })
  }

  test('stops for good with etcd3 alone', async () => {
    const { seen, errors } = await bareWatch()
    await put('first')
    await eventually('the first event', () => seen.has('first'))
    await compactMeanwhile()
    await eventually('the watch failed', () => errors.length > 0)
    await put('later')
    await bare().get('round trip')
    expect([...seen]).toEqual(['first'])
  })

  test('lists again and continues with a view', async () => {
    const { seen } = await view()
    await compactMeanwhile()
    await eventually('the missed event', () => seen.has('missed'))
    await put('later')
    await eventually('a later event', () => seen.has('later'))
  })
})

describe('a view', () => {
  test('sees a deletion that happened while it was disconnected', async () => {
    await put('gone')
    const { view: mirror, seen } = await view()
    const deleted: string[] = []
    mirror.onChange(({ key, now }) => now ?? deleted.push(key))
    proxy.set({ kind: 'refuse' })
    proxy.cut()
    await direct.txn({ compare: [], then: [{ delete: `${prefix}gone` }] })
    proxy.set({ kind: 'pass' })
    await eventually('the deletion', () => deleted.includes(`${prefix}gone`))
    expect(mirror.items.has(`${prefix}gone`)).toBe(false)
    expect(seen.has('gone')).toBe(true)
  })

  test('detects a silent dead connection, and continues over another', async () => {
    const { view: mirror, seen } = await view()
    proxy.stall()
    await put('unheard')
    await eventually('the event, after the deadline', () => seen.has('unheard'))
    expect(mirror.synced).toBe(true)
  })

  test('reports its age, and that it is out of sync, while etcd does not answer', async () => {
    const { view: mirror } = await view()
    proxy.set({ kind: 'blackhole' })
    await eventually('it grows stale', () => mirror.staleForMs() > 3_000 && !mirror.synced)
    proxy.set({ kind: 'pass' })
    proxy.cut()
    await eventually('it is fresh', () => mirror.synced && mirror.staleForMs() < 2_000)
  })

  test('stays fresh on a quiet prefix by progress requests', async () => {
    const { view: mirror } = await view()
    let syncs = 0
    mirror.onSync(() => (syncs += 1))
    const from = mirror.revision
    await direct.txn({ compare: [], then: [{ put: 'elsewhere', value: 'x' }] })
    await eventually('a progress notice', () => mirror.revision > from)
    expect(mirror.staleForMs()).toBeLessThan(2_000)
    expect(syncs).toBe(0)
  })

  test('converges over a connection that is cut again and again', async () => {
    const { view: mirror } = await view()
    for (let round = 0; round < 15; round += 1) {
      await put(`k${round % 5}`, String(round))
      if (round % 3 === 0) proxy.cut()
      if (round % 4 === 0) await direct.txn({ compare: [], then: [{ delete: `${prefix}k${round % 5}` }] })
    }
    const { items } = await direct.list(prefix)
    await eventually('equal to etcd', () => {
      const mine = [...mirror.items.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
      return JSON.stringify(mine) === JSON.stringify(items)
    })
  })
})
