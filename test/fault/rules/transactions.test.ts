import { afterEach, describe, expect, test, vi } from 'vitest'
import { scheduledRunId } from '../../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../../core/records/entry.ts'
import { type Active, activeSchema, type Cell, cellSchema, type Result } from '../../../core/records/state.ts'
import { signedText } from '../../../platform/signing.ts'
import type { KeyValue } from '../../../store/etcd/types.ts'
import { claim } from '../../../store/protocol/claim.ts'
import { end } from '../../../store/protocol/end.ts'
import { guards } from '../../../store/protocol/model-guards.ts'
import { putKnown } from '../../../store/protocol/operator-writes.ts'
import { settle } from '../../../store/protocol/settle.ts'
import { type MaybeAbsent, parseVersioned, type Versioned } from '../../../store/protocol/versioned.ts'
import { cellRef } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/**
 * Replays the shortest counterexamples of the protocol's model for the guards of transactions (store/protocol/model-guards.ts), on a real
 * etcd. With the guard the protocol holds. Without it, the violation happens that the model names.
 */
const pool = poolForEach()
afterEach(() => vi.restoreAllMocks())

const ref = cellRef('j')

async function readEntry(): Promise<Versioned<JobEntry>> {
  const { value, mod, key } = (await pool.etcd.get(pool.keys.job(ref))) as KeyValue
  return { key, mod, value: jobEntrySchema.parse(JSON.parse(signedText(value) ?? '')) }
}

/** A scripted agent. It acts on the state that it read last. */
async function handAgent(name: string) {
  const { etcd: client, keys } = pool
  const cellKey = keys.cell(ref)
  await client.txn({ compare: [], then: [{ put: keys.agent('default', name), value: '{}' }] })
  const session = (await client.get(keys.agent('default', name)))?.create ?? 0
  const reread = async () => parseVersioned(cellSchema, cellKey, await client.get(cellKey))
  let cell = await reread()
  return {
    name,
    session,
    async reread() {
      cell = await reread()
    },
    async claim(time: number, passed: Parameters<typeof claim>[0]['settle'] = []): Promise<boolean> {
      const entry = await readEntry()
      // As a plan would: a suspended job has no times, and a time up to the frontier is not claimed.
      if (entry.value.suspended || (cell.value?.lastFire ?? 0) >= time) return false
      const run = scheduledRunId(ref, time, 0)
      const claimed = claim({
        keys,
        ref,
        agent: name,
        session,
        entry,
        cell,
        run,
        time,
        notBefore: time,
        instance: 'i',
        settle: passed,
        now: time,
      })
      const answer = await client.txn(claimed.txn)
      cell = answer.ok
        ? { key: cellKey, mod: answer.revision, value: claimed.cell }
        : parseVersioned(cellSchema, cellKey, answer.gets[0])
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
  cell: MaybeAbsent<Cell>,
  over: Partial<Parameters<typeof end>[0]>,
) {
  const { etcd: client, keys } = pool
  const key = keys.active('default', owner, scheduledRunId(ref, time, 0))
  const active = parseVersioned(activeSchema, key, await client.get(key))
  return end({
    keys,
    pool: 'default',
    owner,
    active: active as Versioned<Active>,
    cells: [cell as Versioned<Cell>],
    verdict: { outcome: 'Succeeded', reason: 'Completed' },
    now: time,
    ...over,
  })
}

describe('CAS: a transaction that ends a run compares the cell', () => {
  /** A0 claims T1. A1 claims T2. A0 finishes T1 with the cell that it knows, then claims T2. Resolves to the agents that got T2. */
  async function replay(withoutRule = false): Promise<string[]> {
    await pool.putJob({ name: 'j' })
    const [a0, a1] = [await handAgent('a0'), await handAgent('a1')]
    expect(await a0.claim(1_000)).toBe(true)
    await a1.reread()
    expect(await a1.claim(2_000)).toBe(true)
    // Claims still compare the cell.
    if (withoutRule) vi.spyOn(guards, 'cellUnchanged').mockReturnValueOnce([])
    expect(await a0.finish(1_000)).toBe(withoutRule)
    if (!withoutRule) expect(await a0.finish(1_000)).toBe(true)
    await a0.claim(2_000)
    return (await pool.etcd.list(pool.keys.actives())).items.map(
      ({ key }) => pool.keys.parseActive(key)?.agent ?? '',
    )
  }
  test('with the guard T2 is claimed once', async () => {
    expect(await replay()).toEqual(['a1'])
    expect((await pool.cell('j'))?.active).toMatchObject([{ agent: 'a1' }])
  })
  test('without the guard T2 is claimed twice', async () => {
    expect(await replay(true)).toEqual(['a0', 'a1'])
  })
})

describe('GAP: a claim records the times that it passes over', () => {
  /** T1 is due and unclaimed. A0 claims T2. */
  async function replay(): Promise<Result[]> {
    await pool.putJob({ name: 'j' })
    const a0 = await handAgent('a0')
    const passed = { first: 1_000, last: 1_000, count: 1, outcome: 'Missed' as const, reason: 'NotCaughtUp' }
    expect(await a0.claim(2_000, [passed])).toBe(true)
    await a0.finish(2_000)
    return pool.results()
  }
  test('with the guard T1 has its outcome', async () => {
    expect((await replay()).map(({ time, outcome }) => [time, outcome])).toEqual([
      [1_000, 'Missed'],
      [2_000, 'Succeeded'],
    ])
  })
  test('without the guard T1 never has an outcome', async () => {
    vi.spyOn(guards, 'recordPassedOver').mockReturnValue([])
    expect((await replay()).map(({ time }) => time)).toEqual([2_000])
  })
})

describe('ADOPT: the transaction that ends an attempt puts the retry as an active entry', () => {
  /**
   * A0 claims T1 and dies. A1 buries it with a retry for itself, and dies. The operator settles T2. A1 returns. Resolves to the outcomes of
   * T1, and to the attempts that A1 finds for itself.
   */
  async function replay(): Promise<{ outcomes: Result[]; attempts: number[] }> {
    const { etcd: client, keys } = pool
    await pool.putJob({ name: 'j' })
    const [a0, a1] = [await handAgent('a0'), await handAgent('a1')]
    expect(await a0.claim(1_000)).toBe(true)
    await pool.remove(keys.agent('default', 'a0'))
    const cell = async () => parseVersioned(cellSchema, keys.cell(ref), await client.get(keys.cell(ref)))
    const entry = await readEntry()
    const buried = await endOf('a0', 1_000, await cell(), {
      verdict: { outcome: 'Lost', reason: 'AgentLost' },
      ownerSeen: 0,
      retry: {
        backoffLimit: 1,
        notBefore: 0,
        entry,
        next: { agent: a1.name, session: a1.session, instance: 'i' },
      },
    })
    expect((await client.txn(buried.txn)).ok).toBe(true)
    const missed = { first: 2_000, last: 2_000, count: 1, outcome: 'Missed' as const, reason: 'NotCaughtUp' }
    const swept = settle({ keys, ref, entry, cell: await cell(), settle: [missed], now: 9_000 })
    expect((await client.txn(swept.txn)).ok).toBe(true)
    const results = await pool.results()
    const mine = (await client.list(keys.actives('default', 'a1'))).items
    return {
      outcomes: results.filter(({ time, final }) => time === 1_000 && final),
      attempts: mine.map(item => parseVersioned(activeSchema, item.key, item).value?.attempt ?? 0),
    }
  }
  test('with the guard the second attempt is there to be adopted', async () => {
    expect(await replay()).toEqual({ outcomes: [], attempts: [2] })
  })
  test('without the guard T1 has no outcome, and no process knows of it', async () => {
    vi.spyOn(guards, 'putNextAttempt').mockReturnValue([])
    expect(await replay()).toEqual({ outcomes: [], attempts: [] })
  })
})

describe('OPCAS: the operator overwrites only the revision that it knows', () => {
  /** A new leader suspends the job. A paused old leader then writes its older entry. Resolves to whether A0 may claim. */
  async function replay(): Promise<boolean> {
    await pool.putJob({ name: 'j' })
    const key = pool.keys.job(ref)
    const { mod, value } = (await pool.etcd.get(key)) as KeyValue
    await pool.putJob({ name: 'j', suspended: true, generation: 2 })
    await pool.etcd.txn(putKnown(key, mod, value))
    const a0 = await handAgent('a0')
    return a0.claim(1_000)
  }
  test('with the guard the suspension stays', async () => {
    expect(await replay()).toBe(false)
    expect(await pool.actives()).toEqual([])
  })
  test('without the guard an agent claims a generation that the user has replaced', async () => {
    vi.spyOn(guards, 'operatorKnows').mockReturnValue([])
    expect(await replay()).toBe(true)
    expect(await pool.actives()).toMatchObject([{ generation: 1 }])
  })
})
