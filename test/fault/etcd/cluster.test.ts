import { Etcd3 } from 'etcd3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../../platform/log.ts'
import { createBatcher } from '../../../store/etcd/batcher.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import { EtcdAmbiguous } from '../../../store/etcd/errors.ts'
import type { KeyValue } from '../../../store/etcd/types.ts'
import { eventually } from '../eventually.ts'
import { type Cluster, type Member, startCluster } from './servers.ts'

// An etcd cluster of three members that loses one.

let cluster: Cluster
let etcd: Etcd

beforeEach(async () => {
  cluster = await startCluster(3)
  etcd = connectEtcd({
    endpoints: cluster.endpoints,
    log: silentLog,
    callTimeoutMs: 5_000,
    watchDeadlineMs: 2_000,
  })
  await eventually('the cluster is up', () =>
    etcd.get('up').then(
      () => true,
      () => false,
    ),
  )
})
afterEach(async () => {
  await etcd.close()
  await cluster.stop()
})

async function leader(): Promise<Member> {
  for (const member of cluster.members) {
    const client = new Etcd3({ hosts: member.endpoint })
    try {
      const { header, leader } = await client.maintenance.status()
      if (header.member_id === leader) return member
    } finally {
      client.close()
    }
  }
  throw new Error('no member of the cluster leads')
}

const increment = (known: KeyValue | undefined, name: string, by: string) => ({
  compare: [{ key: name, mod: known?.mod ?? 0 }],
  then: [
    { put: name, value: String(Number(known?.value ?? 0) + 1) },
    { put: `${name}/log/${by}`, value: 'x' },
  ],
  else: [{ get: name }],
})

describe('while the leader is killed', () => {
  test('each transaction of a stream is applied at most once, and every answer is true', async () => {
    const batcher = createBatcher(etcd)
    const told = { yes: new Set<string>(), no: new Set<string>(), unknown: new Set<string>() }
    const stop = new AbortController()
    const worker = async (worker: number) => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const name = `w${worker}/${n}`
        const txn = {
          compare: [],
          then: [
            { put: `${name}/a`, value: 'x' },
            { put: `${name}/b`, value: 'x' },
          ],
        }
        const outcome = await batcher.txn(txn).then(
          () => 'yes' as const,
          error => (error instanceof EtcdAmbiguous ? ('unknown' as const) : ('no' as const)),
        )
        told[outcome].add(name)
      }
    }
    const workers = Array.from({ length: 20 }, (_, n) => worker(n))
    await eventually('some went through', () => told.yes.size > 200)
    await (await leader()).kill()
    const before = told.yes.size
    await eventually('more went through', () => told.yes.size > before + 500)
    stop.abort()
    await Promise.all(workers)

    const { items } = await etcd.list('w')
    const present = new Map<string, KeyValue[]>()
    for (const item of items) {
      const name = item.key.slice(0, item.key.lastIndexOf('/'))
      present.set(name, [...(present.get(name) ?? []), item])
    }
    for (const name of told.yes) expect(present.get(name)?.length).toBe(2)
    for (const name of told.no) expect(present.get(name)).toBeUndefined()
    for (const name of told.unknown) expect([undefined, 2]).toContain(present.get(name)?.length)
    // A second application would have changed the key after its creation.
    expect(items.filter(item => item.mod !== item.create)).toEqual([])
  })

  test('a counter that is read again after every ambiguous answer loses nothing and counts nothing twice', async () => {
    let counted = 0
    let killed = false
    for (let n = 0; n < 300; n += 1) {
      if (n === 100 && !killed) {
        killed = true
        await (await leader()).kill()
      }
      await eventually(`increment ${n}`, async () => {
        try {
          const known = await etcd.get('counter')
          if (await etcd.get(`counter/log/${n}`)) return true
          return (await etcd.txn(increment(known, 'counter', String(n)))).ok
        } catch {
          return false
        }
      })
      counted += 1
    }
    expect((await etcd.get('counter'))?.value).toBe(String(counted))
  })

  test('views continue with another member, and leases live', async () => {
    const view = etcd.view('v/')
    await view.ready()
    const { id } = await etcd.lease(30)
    await etcd.txn({ compare: [], then: [{ put: 'v/leased', value: 'x', lease: id }] })
    await (await leader()).kill()
    await eventually('a write goes through', () =>
      etcd.txn({ compare: [], then: [{ put: 'v/after', value: 'x' }] }).catch(() => undefined),
    )
    await eventually('the view has it', () => view.items.has('v/after'))
    const left = await eventually('a keepalive', () => etcd.keepAlive(id, 5_000).catch(() => undefined))
    expect(left).toBe(30)
    expect(view.items.has('v/leased')).toBe(true)
  })
})

describe('while a member is frozen', () => {
  test('reads continue with the other members', async () => {
    for (const member of cluster.members) {
      member.freeze()
      try {
        // A frozen leader stops all reads until the others have elected another leader.
        await eventually('a read', () => etcd.get('up').then(String, () => ''))
      } finally {
        member.thaw()
      }
    }
  })
})

describe('without a quorum', () => {
  test('the status still answers, and writes fail within their deadline', async () => {
    const [one, two] = cluster.members
    await Promise.all([one?.kill(), two?.kill()])
    await expect(etcd.txn({ compare: [], then: [{ put: 'a', value: 'x' }] })).rejects.toThrow('')
    expect((await etcd.status()).version).toMatch(/^3\./)
  })
})
