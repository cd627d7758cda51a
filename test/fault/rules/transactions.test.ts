import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type CellRef, scheduledRunId } from '../../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../../core/records/entry.ts'
import { type Active, activeSchema, type Cell, cellSchema, type Result } from '../../../core/records/state.ts'
import { claim } from '../../../store/protocol/claim.ts'
import { end } from '../../../store/protocol/end.ts'
import { putKnown } from '../../../store/protocol/entry.ts'
import { type Held, held, type Maybe } from '../../../store/protocol/held.ts'
import { rules } from '../../../store/protocol/rules.ts'
import { type EtcdCluster, startEtcd } from '../../controlplane/etcd.ts'
import { command, type HandPool, handPool } from '../../fixtures/pool.ts'

/**
 * The shortest counterexamples of the protocol's model for the rules that are comparisons or writes of one transaction, replayed against
 * a real etcd: with the rule nothing happens; without it the very thing that the model names.
 */
let etcd: EtcdCluster
let pool: HandPool
beforeAll(async () => {
  etcd = await startEtcd()
})
afterAll(() => etcd.stop())
beforeEach(async () => {
  pool = await handPool(etcd)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await pool.etcd.txn({ compare: [], then: [{ delete: '/hand/', prefix: true }] })
  await pool.close()
})

const ref: CellRef = { pool: 'default', kind: 'job', namespace: 'test', name: 'j', target: '-' }

/** An agent by hand: what it knows is what it last read. */
async function handAgent(name: string) {
  const { etcd: client, keys } = pool
  const cellKey = keys.cell(ref)
  await client.txn({ compare: [], then: [{ put: keys.agent('default', name), value: '{}' }] })
  const session = (await client.get(keys.agent('default', name)))?.create ?? 0
  const reread = async () => held(cellSchema, cellKey, await client.get(cellKey))
  let cell = await reread()
  const entry = async (): Promise<Held<JobEntry>> => {
    const item = await client.get(keys.job(ref))
    return { key: keys.job(ref), mod: item?.mod ?? 0, value: jobEntrySchema.parse({ ...ENTRY, name: 'j' }) }
  }
  return {
    name,
    session,
    async reread() {
      cell = await reread()
    },
    async claim(time: number, settle: Parameters<typeof claim>[0]['settle'] = []): Promise<boolean> {
      // What a plan says first: a time that the frontier has passed is not taken.
      if ((cell.value?.lastFire ?? 0) >= time) return false
      const run = scheduledRunId(ref, time)
      const claimed = claim({
        keys,
        ref,
        agent: name,
        session,
        entry: await entry(),
        cell,
        run,
        time,
        notBefore: time,
        instance: 'i',
        settle,
        now: time,
      })
      const answer = await client.txn(claimed.txn)
      cell = answer.ok
        ? { key: cellKey, mod: answer.revision, value: claimed.cell }
        : held(cellSchema, cellKey, answer.gets[0])
      return answer.ok
    },
    async finish(time: number): Promise<boolean> {
      const ended = await endOf(name, time, cell, {})
      const answer = await client.txn(ended.txn)
      if (answer.ok && ended.cells[0])
        cell = { key: cellKey, mod: answer.revision, value: ended.cells[0].value }
      else await this.reread()
      return answer.ok
    },
  }
}

async function endOf(
  owner: string,
  time: number,
  cell: Maybe<Cell>,
  over: Partial<Parameters<typeof end>[0]>,
) {
  const { etcd: client, keys } = pool
  const key = keys.active('default', owner, scheduledRunId(ref, time))
  const active = held(activeSchema, key, await client.get(key))
  return end({
    keys,
    pool: 'default',
    owner,
    active: active as Held<Active>,
    cells: [cell as Held<Cell>],
    verdict: { outcome: 'Succeeded', reason: 'Completed' },
    now: time,
    ...over,
  })
}

const ENTRY = {
  kind: 'job',
  uid: 'u',
  generation: 1,
  pool: 'default',
  namespace: 'test',
  schedules: ['* * * * * *'],
  timeZone: 'UTC',
  daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
  scheduleChangedAt: 0,
  command: command('true'),
}

describe('CAS: whoever ends a run compares the cell', () => {
  /** A0 claims T1; A1 claims T2; A0 finishes T1 from the cell that it knows, then claims T2. */
  async function replay(): Promise<number> {
    await pool.putJob({ name: 'j' })
    const [a0, a1] = [await handAgent('a0'), await handAgent('a1')]
    expect(await a0.claim(1_000)).toBe(true)
    await a1.reread()
    const starts = [await a1.claim(2_000)]
    await a0.finish(1_000)
    starts.push(await a0.claim(2_000))
    return starts.filter(Boolean).length
  }
  test('with it T2 is claimed once', async () => {
    expect(await replay()).toBe(1)
  })
  test('without it T2 is claimed twice', async () => {
    vi.spyOn(rules, 'cellUnchanged').mockReturnValue([])
    expect(await replay()).toBe(2)
  })
})

describe('GAP: who passes over a time records it', () => {
  /** T1 is due and nobody has taken it; A0 claims T2. */
  async function replay(): Promise<Result[]> {
    await pool.putJob({ name: 'j' })
    const a0 = await handAgent('a0')
    const passed = { first: 1_000, last: 1_000, count: 1, outcome: 'Missed' as const, reason: 'NotCaughtUp' }
    expect(await a0.claim(2_000, [passed])).toBe(true)
    await a0.finish(2_000)
    return pool.results()
  }
  test('with it T1 has its outcome', async () => {
    expect((await replay()).map(({ time, outcome }) => [time, outcome])).toEqual([
      [1_000, 'Missed'],
      [2_000, 'Succeeded'],
    ])
  })
  test('without it T1 never has one', async () => {
    vi.spyOn(rules, 'recordPassedOver').mockReturnValue([])
    expect((await replay()).map(({ time }) => time)).toEqual([2_000])
  })
})

describe('ADOPT: a retry is an entry, put by the transaction that ends the attempt before', () => {
  /** A0 claims T1 and dies; A1 buries it, with a retry under its own name, and dies before it does anything more. */
  async function replay() {
    await pool.putJob({ name: 'j' })
    const [a0, a1] = [await handAgent('a0'), await handAgent('a1')]
    await a0.claim(1_000)
    await pool.remove(pool.keys.agent('default', 'a0'))
    const cellKey = pool.keys.cell(ref)
    const cell = held(cellSchema, cellKey, await pool.etcd.get(cellKey))
    const entry = { key: pool.keys.job(ref), mod: (await pool.etcd.get(pool.keys.job(ref)))?.mod ?? 0 }
    const next = { agent: a1.name, session: a1.session, instance: 'i' }
    const buried = await endOf('a0', 1_000, cell, {
      verdict: { outcome: 'Lost', reason: 'AgentLost' },
      ownerSeen: 0,
      retry: { backoffLimit: 1, notBefore: 0, entry, next },
    })
    expect((await pool.etcd.txn(buried.txn)).ok).toBe(true)
    const [finals, actives] = [(await pool.results()).filter(({ final }) => final), await pool.actives()]
    return {
      settledOrPending: finals.length + actives.length,
      attempts: actives.map(({ attempt }) => attempt),
    }
  }
  test('with it the second attempt lies there for whoever comes', async () => {
    expect(await replay()).toEqual({ settledOrPending: 1, attempts: [2] })
  })
  test('without it T1 has neither an outcome nor anybody who knows of it', async () => {
    vi.spyOn(rules, 'putNextAttempt').mockReturnValue([])
    expect(await replay()).toEqual({ settledOrPending: 0, attempts: [] })
  })
})

describe('OPCAS: the operator writes over what it knows', () => {
  /** The job is suspended by a new leader; a paused old one then writes what it had in mind. */
  async function replay(): Promise<boolean> {
    await pool.putJob({ name: 'j' })
    const key = pool.keys.job(ref)
    const known = await pool.etcd.get(key)
    await pool.putJob({ name: 'j', suspended: true, generation: 2 })
    const suspended = await pool.etcd.get(key)
    await pool.etcd.txn(putKnown(key, known?.mod ?? 0, known?.value ?? ''))
    return (await pool.etcd.get(key))?.value === suspended?.value
  }
  test('with it the suspension stands', async () => {
    expect(await replay()).toBe(true)
  })
  test('without it the old generation is back, and would be claimed', async () => {
    vi.spyOn(rules, 'operatorKnows').mockReturnValue([])
    expect(await replay()).toBe(false)
  })
})
