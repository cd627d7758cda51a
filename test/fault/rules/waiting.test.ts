import { afterEach, describe, expect, test, vi } from 'vitest'
import { guards } from '../../../agent/model-guards.ts'
import { scheduledRunId } from '../../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../../core/records/entry.ts'
import { activeSchema, cellSchema } from '../../../core/records/state.ts'
import { signedText } from '../../../platform/signing.ts'
import { claim } from '../../../store/protocol/claim.ts'
import { end } from '../../../store/protocol/end.ts'
import { parseVersioned, type Versioned } from '../../../store/protocol/versioned.ts'
import { cellRef, command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'
import { eventually } from '../eventually.ts'

const pool = poolForEach({ members: ['a'] })
afterEach(() => vi.restoreAllMocks())

const HOURS = 3_600_000
const ref = cellRef('j')

async function read<T>(key: string, schema: Parameters<typeof parseVersioned<T>>[0]): Promise<Versioned<T>> {
  const { value, ...at } = parseVersioned(schema, key, await pool.etcd.get(key))
  if (value === undefined) throw new Error(`no value at ${key}`)
  return { ...at, value }
}

/** The scripted agent b: claims T1 and ends it, without a notice to agent a. */
async function otherAgent(t1: number): Promise<{ finish(): Promise<number> }> {
  const { keys } = pool
  const item = await pool.etcd.get(keys.job(ref))
  const entry: Versioned<JobEntry> = {
    key: keys.job(ref),
    mod: item?.mod ?? 0,
    value: jobEntrySchema.parse(JSON.parse(signedText(item?.value ?? '') ?? '')),
  }
  const registration = JSON.stringify({ version: 'test', instance: 'i', startedAt: 0 })
  const { revision: session } = await pool.etcd.txn({
    compare: [],
    then: [{ put: keys.agent('default', 'b'), value: registration }],
  })
  const run = scheduledRunId(ref, t1, 0)
  const absent = { key: keys.cell(ref), mod: 0, value: undefined }
  const by = { keys, ref, agent: 'b', session, instance: 'i', entry, cell: absent, run }
  const claimed = claim({ ...by, time: t1, notBefore: t1, settle: [], now: t1 })
  expect((await pool.etcd.txn(claimed.txn)).ok).toBe(true)
  return {
    async finish() {
      const now = Date.now()
      const ended = end({
        keys,
        pool: 'default',
        owner: 'b',
        active: await read(keys.active('default', 'b', run), activeSchema),
        cells: [await read(keys.cell(ref), cellSchema)],
        verdict: { outcome: 'Succeeded', reason: 'Completed' },
        now,
      })
      expect((await pool.etcd.txn(ended.txn)).ok).toBe(true)
      return now
    },
  }
}

describe('POLL: the agent that made a time wait reads its cell every second', () => {
  /** T1 runs on b. a makes T2 wait and reads the cell once. T1 ends. Resolves to T2 and the end of T1. */
  async function replay(): Promise<{ t2: number; ended: number }> {
    const looks = vi.mocked(guards.looksAtWaiting)
    const t2 = Math.floor(Date.now() / HOURS / 1_000) * HOURS * 1_000
    const t1 = t2 - 1_000 * HOURS
    await pool.putJob({
      name: 'j',
      schedules: ['@every 1000h'],
      scheduleChangedAt: t1 - 1,
      concurrencyPolicy: 'Forbid',
      command: command('true'),
    })
    const b = await otherAgent(t1)
    await pool.agent('a')
    await eventually('T2 waits', async () => (await pool.cell('j'))?.waiting?.time === t2)
    await eventually('a has looked at it', () => looks.mock.calls.length > 0)
    return { t2, ended: await b.finish() }
  }

  test('with the guard T2 starts within two seconds of the end of T1', async () => {
    vi.spyOn(guards, 'looksAtWaiting')
    const { t2, ended } = await replay()
    const second = await eventually('T2 ends', async () =>
      (await pool.results()).find(({ time }) => time === t2),
    )
    expect(second).toMatchObject({ outcome: 'Succeeded', agent: 'a' })
    expect((second.startedAt ?? 0) - ended).toBeGreaterThanOrEqual(0)
    expect((second.startedAt ?? 0) - ended).toBeLessThan(2_000)
  })
  test('without the guard T2 still waits', async () => {
    vi.spyOn(guards, 'looksAtWaiting').mockReturnValue(false)
    const { t2, ended } = await replay()
    await eventually('twice the time has passed', () => Date.now() > ended + 4_000)
    expect(await pool.cell('j')).toMatchObject({ active: [], waiting: { time: t2, by: 'a' } })
  })
})
