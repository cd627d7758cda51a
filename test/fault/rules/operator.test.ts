import { afterEach, describe, expect, test, vi } from 'vitest'
import { clockEpochIn } from '../../../core/keys.ts'
import type { Result } from '../../../core/records/state.ts'
import { guards } from '../../../operator/model-guards.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'
import { shiftedClock } from '../../fixtures/shifted-clock.ts'
import { eventually } from '../eventually.ts'

/**
 * Replays the shortest counterexamples of the protocol's model for the operator's guards, with a real operator. Each replay resolves to T1's
 * due time and to its job's outcomes. If no outcome is T1's, the model calls it MISSING.
 */
interface Replayed {
  t1: number
  results: Result[]
}

const fixture = operatorForEach()
afterEach(() => vi.restoreAllMocks())

const agent = (name: string) => object('ShellAgent', name, { external: {} })
const gone = (name: string) => fixture.delete(fixture.keys.agent('default', name))

/** A job every two seconds whose times are missed only by a deadline. Resolves to its first time, when that is due. */
async function untilDue(spec: object): Promise<number> {
  await fixture.write('j.yaml', cronJob('j', { schedule: '@every 2s', spec: { catchUp: 'All', ...spec } }))
  const { scheduleChangedAt } = await eventually('the entry', () => fixture.job('j'))
  const t1 = Math.floor(scheduleChangedAt / 2_000) * 2_000 + 2_000
  await eventually('T1 is due', () => Date.now() > t1)
  return t1
}

const first = ({ time, range }: Result) => range?.first ?? time

describe('SWEEP: the operator settles times that no agent claimed by the deadline', () => {
  /** Both agents die while T1 is unclaimed. `done`: whether the operator has reached the guard. */
  async function replay(done: () => boolean | Promise<boolean>): Promise<Replayed> {
    await fixture.operator()
    for (const name of ['a0', 'a1']) {
      await fixture.write(`${name}.yaml`, agent(name))
      await fixture.register(name)
    }
    const t1 = await untilDue({ startingDeadlineSeconds: 3 })
    await gone('a0')
    await gone('a1')
    await eventually('the operator has reached T1', done)
    return { t1, results: await fixture.results() }
  }

  test('with the guard T1 is Missed', async () => {
    const { t1, results } = await replay(async () => (await fixture.results()).length > 0)
    expect(results.map(first)).toContain(t1)
    expect(results[0]).toMatchObject({ outcome: 'Missed', reason: 'NoAgentConnected', final: true })
  })
  test('without the guard T1 has no outcome', async () => {
    const settles = vi.spyOn(guards, 'settlesUnclaimed').mockReturnValue(false)
    const { results } = await replay(() => settles.mock.calls.length > 0)
    expect(results).toEqual([])
    expect(await fixture.cell('j')).toBeUndefined()
  })
})

describe('EDITS: the times of the old schedule are settled before a new one replaces it', () => {
  /** The job gets another schedule while T1 is unclaimed and an agent lives that may claim it. */
  async function replay(): Promise<Replayed> {
    await fixture.operator()
    await fixture.write('a0.yaml', agent('a0'))
    await fixture.register('a0')
    const t1 = await untilDue({})
    await fixture.write('j.yaml', cronJob('j', { schedule: '0 0 1 1 *', spec: { catchUp: 'All' } }))
    await eventually('the new schedule is in force', async () => {
      const entry = await fixture.job('j')
      return entry?.schedules[0] === '0 0 1 1 *' && !entry.suspended
    })
    return { t1, results: await fixture.results() }
  }

  test('with the guard T1 is Missed', async () => {
    const { t1, results } = await replay()
    expect(results.map(first)).toEqual([t1])
    expect(results[0]).toMatchObject({ outcome: 'Missed', reason: 'Rescheduled', final: true })
  })
  test('without the guard nothing records T1', async () => {
    vi.spyOn(guards, 'editsBySuspension').mockReturnValue(false)
    expect((await replay()).results).toEqual([])
    expect(await fixture.cell('j')).toBeUndefined()
  })
})

describe('EPOCH: used times that are ahead of the clock begin a new clock epoch', () => {
  const AHEAD = 3_600_000

  /**
   * T1 comes under the right clock, after an agent has claimed and ended a later time under a clock that was ahead. `seen`: whether the
   * operator has passed the guard in three looks after T1 closed. Resolves to T1 and what was recorded under its own clock.
   */
  async function replay(seen: (t1: number) => boolean | Promise<boolean>): Promise<Replayed> {
    const clock = shiftedClock(AHEAD)
    await fixture.operator({ clock })
    await fixture.write(
      'j.yaml',
      cronJob('j', { schedule: '@every 2s', spec: { catchUp: 'All', startingDeadlineSeconds: 1 } }),
    )
    const { uid } = await eventually('the entry', () => fixture.job('j'))
    clock.by = 0
    const t1 = Math.floor(Date.now() / 2_000) * 2_000 + 10_000
    const ref = { pool: 'default', kind: 'job' as const, namespace: NS, name: 'j', target: '-' }
    await fixture.put(fixture.keys.cell(ref), { uid, lastFire: Date.now() + AHEAD, active: [] })
    await eventually('T1 is closed', () => Date.now() > t1 + 2_000)
    await eventually('the operator has reached T1', () => seen(t1), 60_000)
    return { t1, results: await fixture.results() }
  }
  const covers = (t1: number) => (result: Result) =>
    result.time < Date.now() && first(result) <= t1 && t1 <= result.time

  test('with the guard T1 is Missed, in the next clock epoch', async () => {
    const { t1, results } = await replay(async at => (await fixture.results()).some(covers(at)))
    const found = results.filter(covers(t1))
    expect(found).toMatchObject([{ outcome: 'Missed', final: true }])
    expect(clockEpochIn(found[0]?.run ?? '')).toBe(1)
    expect(await fixture.job('j')).toMatchObject({ clockEpoch: 1, suspended: false })
  }, 120_000)
  test('without the guard T1 has no outcome', async () => {
    const sets = vi.spyOn(guards, 'setsClockBack').mockReturnValue(false)
    const { t1, results } = await replay(() => sets.mock.calls.length > 0)
    expect(results.filter(covers(t1))).toEqual([])
    expect((await fixture.cell('j'))?.lastFire).toBeGreaterThan(Date.now() + AHEAD / 2)
  }, 120_000)
})
