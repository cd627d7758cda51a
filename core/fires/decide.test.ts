import { describe, expect, test } from 'vitest'
import { type JobEntry, jobEntrySchema } from '../records/entry.ts'
import type { Cell } from '../records/state.ts'
import { closedAfterClaim } from './catch-up.ts'
import { decide } from './decide.ts'
import type { Decision, FireInput } from './decision.ts'
import { settleUpTo, type Times } from './settlement.ts'

const S = 1_000

/** Every ten seconds: 10 s, 20 s, 30 s, … */
const tens: Times = {
  next: after => (Math.floor(after / (10 * S)) + 1) * 10 * S,
  previous: before => (Math.ceil(before / (10 * S)) - 1) * 10 * S,
  missed(after, upTo) {
    const first = (Math.floor(after / (10 * S)) + 1) * 10 * S
    const last = Math.floor(upTo / (10 * S)) * 10 * S
    return last < first ? undefined : { first, last, count: (last - first) / (10 * S) + 1 }
  },
}

function entry(over: Partial<JobEntry>): JobEntry {
  return {
    ...jobEntrySchema.parse({
      kind: 'job',
      uid: 'u',
      generation: 1,
      pool: 'default',
      namespace: 'n',
      name: 'j',
      schedules: ['@every 10s'],
      timeZone: 'UTC',
      daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
      scheduleChangedAt: 0,
      command: { placement: {}, shell: ['sh'], script: 'true', outputLimit: 1 },
    }),
    ...over,
  }
}

const cell = (lastFire: number, over: Partial<Cell> = {}): Cell => ({
  uid: 'u',
  lastFire: lastFire * S,
  active: [],
  ...over,
})
const running = [{ run: 'r', agent: 'a', attempt: 1 }]

function at(now: number, over: Partial<JobEntry>, state?: Cell, more: Partial<FireInput> = {}): Decision {
  return decide({ entry: entry(over), times: tens, offset: 0, cell: state, now: now * S, lead: 500, ...more })
}

const missed = (first: number, last: number, count: number, reason: string) => ({
  first: first * S,
  last: last * S,
  count,
  outcome: 'Missed',
  reason,
})
const skipped = (first: number, last: number, count: number, reason = 'Overlapped') => ({
  ...missed(first, last, count, reason),
  outcome: 'Skipped',
})

describe('a time of a job in force', () => {
  test('is claimed the lead before its instant, not earlier', () => {
    expect(at(9.4, {})).toEqual({ kind: 'idle', at: 9.5 * S })
    expect(at(9.5, {})).toEqual({ kind: 'claim', time: 10 * S, settle: [] })
  })
  test('counts from the last change of the schedule, never before it', () => {
    expect(at(35, { scheduleChangedAt: 32 * S })).toEqual({ kind: 'idle', at: 39.5 * S })
  })
  test('is delayed by jitter and keeps its identity', () => {
    expect(at(12, {}, undefined, { offset: 3 * S })).toEqual({ kind: 'idle', at: 12.5 * S })
    expect(at(12.5, {}, undefined, { offset: 3 * S })).toEqual({ kind: 'claim', time: 10 * S, settle: [] })
  })
  test('of a suspended or blocked job is not claimed', () => {
    expect(at(10, { suspended: true })).toEqual({ kind: 'idle', at: undefined })
    expect(at(10, { blocked: { reason: 'Policy', message: '' } })).toEqual({ kind: 'idle', at: undefined })
  })
})

describe('catch-up', () => {
  test('Latest claims the newest and records any number of others', () => {
    expect(at(1_000_008, {}, cell(10))).toEqual({
      kind: 'claim',
      time: 1_000_000 * S,
      settle: [missed(20, 999_990, 99_998, 'NotCaughtUp')],
    })
  })
  test('Latest keeps every time that came due within 5 s', () => {
    expect(at(24, {}, cell(10))).toEqual({ kind: 'claim', time: 20 * S, settle: [] })
  })
  test('None closes a time 5 s after its instant', () => {
    expect(at(24.9, { catchUp: 'None' }, cell(10))).toEqual({ kind: 'claim', time: 20 * S, settle: [] })
    expect(at(25.1, { catchUp: 'None' }, cell(10))).toEqual({
      kind: 'settle',
      settle: [missed(20, 20, 1, 'NotCaughtUp')],
    })
  })
  test('All claims the oldest within catchUpLimit', () => {
    expect(at(58, { catchUp: 'All' }, cell(10))).toEqual({ kind: 'claim', time: 20 * S, settle: [] })
    expect(at(58, { catchUp: 'All', catchUpLimit: 2 }, cell(10))).toEqual({
      kind: 'claim',
      time: 40 * S,
      settle: [missed(20, 30, 2, 'CatchUpLimit')],
    })
  })
  test('a deadline closes a time, counted from the time itself', () => {
    expect(at(58, { catchUp: 'All', startingDeadlineSeconds: 20 }, cell(10))).toEqual({
      kind: 'claim',
      time: 40 * S,
      settle: [missed(20, 30, 2, 'DeadlineExceeded')],
    })
    expect(at(23, { startingDeadlineSeconds: 2 }, cell(10))).toEqual({
      kind: 'settle',
      settle: [missed(20, 20, 1, 'DeadlineExceeded')],
    })
  })
})

describe('concurrency', () => {
  const forbid = { concurrencyPolicy: 'Forbid' as const }
  test('Allow starts beside a running one', () => {
    expect(at(19.5, {}, cell(10, { active: running }))).toEqual({ kind: 'claim', time: 20 * S, settle: [] })
  })
  test('Forbid lets a due time wait, from its instant on', () => {
    expect(at(19.6, forbid, cell(10, { active: running }))).toEqual({ kind: 'idle', at: 20 * S })
    expect(at(20, forbid, cell(10, { active: running }))).toEqual({
      kind: 'wait',
      time: 20 * S,
      replace: false,
      settle: [],
    })
  })
  test('Forbid: the newest due time waits, older ones are skipped', () => {
    const state = cell(20, { active: running, waiting: { time: 20 * S, by: 'a' } })
    expect(at(30, forbid, state)).toEqual({
      kind: 'wait',
      time: 30 * S,
      replace: false,
      settle: [skipped(20, 20, 1)],
    })
    expect(at(43, { ...forbid, catchUp: 'All' }, cell(10, { active: running }))).toEqual({
      kind: 'wait',
      time: 40 * S,
      replace: false,
      settle: [skipped(20, 30, 2)],
    })
  })
  test('the waiting time is claimed when the run has ended', () => {
    expect(at(27, forbid, cell(20, { waiting: { time: 20 * S, by: 'a' } }))).toEqual({
      kind: 'claim',
      time: 20 * S,
      settle: [],
    })
  })
  test('a waiting time past its deadline is skipped, whether or not the run has ended', () => {
    const waiting = { waiting: { time: 20 * S, by: 'a' } }
    const state = cell(20, { active: running, ...waiting })
    const withDeadline = { ...forbid, startingDeadlineSeconds: 5 }
    expect(at(24, withDeadline, state)).toEqual({ kind: 'idle', at: 25 * S + 1 })
    for (const late of [state, cell(20, waiting)])
      expect(at(25.1, withDeadline, late)).toEqual({
        kind: 'settle',
        settle: [skipped(20, 20, 1, 'DeadlineExceeded')],
      })
  })
  test('Replace ends the active run at the instant', () => {
    const replace = { concurrencyPolicy: 'Replace' as const }
    expect(at(19.9, replace, cell(10, { active: running }))).toEqual({ kind: 'idle', at: 20 * S })
    expect(at(20, replace, cell(10, { active: running }))).toMatchObject({ kind: 'wait', replace: true })
  })
  test("a policy's maxConcurrentRuns skips due times above it", () => {
    expect(at(20, { maxConcurrentRuns: 1 }, cell(10, { active: running }))).toEqual({
      kind: 'settle',
      settle: [skipped(20, 20, 1, 'TooManyRuns')],
    })
  })
})

describe('maxParallel, while the wave has no free slot', () => {
  const full = { full: true }
  const waiting = (time: number) => ({ waiting: { time: time * S, by: 'a', wave: true } })
  test('a time is not claimed ahead; when it is due it waits', () => {
    expect(at(19.6, {}, cell(10), full)).toEqual({ kind: 'idle', at: 20 * S })
    expect(at(20, {}, cell(10), full)).toMatchObject({ kind: 'wait', time: 20 * S, wave: true, settle: [] })
  })
  test('a waiting time is not a catch-up, and is claimed when a slot is free', () => {
    const state = cell(20, waiting(20))
    expect(at(29, { catchUp: 'None' }, state, full)).toEqual({ kind: 'idle', at: 30 * S })
    expect(at(29, { catchUp: 'None' }, state)).toEqual({ kind: 'claim', time: 20 * S, settle: [] })
  })
  test('the newest waits, older ones are skipped', () => {
    expect(at(30, {}, cell(20, waiting(20)), full)).toMatchObject({
      kind: 'wait',
      time: 30 * S,
      settle: [skipped(20, 20, 1, 'WaveFull')],
    })
  })
  test('a time that no agent has seen in time is Missed', () => {
    expect(at(47, {}, cell(10), full)).toMatchObject({
      kind: 'wait',
      time: 40 * S,
      settle: [missed(20, 30, 2, 'NotCaughtUp')],
    })
  })
  test('catchUp All: the oldest waits, and the others stay open behind it, within the limit', () => {
    const all = { catchUp: 'All' as const, catchUpLimit: 2 }
    expect(at(38, all, cell(10), full)).toMatchObject({ kind: 'wait', time: 20 * S, settle: [] })
    expect(at(48, all, cell(20, waiting(20)), full)).toEqual({ kind: 'idle', at: 50 * S })
    expect(at(58, all, cell(20, waiting(20)), full)).toEqual({
      kind: 'settle',
      settle: [missed(30, 30, 1, 'CatchUpLimit')],
    })
  })
  test('a waiting time past its deadline is Missed', () => {
    const deadline = { startingDeadlineSeconds: 5 }
    expect(at(24, deadline, cell(20, waiting(20)), full)).toEqual({ kind: 'idle', at: 25 * S + 1 })
    for (const more of [full, {}])
      expect(at(25.1, deadline, cell(20, waiting(20)), more)).toEqual({
        kind: 'settle',
        settle: [missed(20, 20, 1, 'DeadlineExceeded')],
      })
  })
  describe('when it has waited for its own run before', () => {
    const forbid = { concurrencyPolicy: 'Forbid' as const, startingDeadlineSeconds: 8 }
    const held = { waiting: { time: 20 * S, by: 'a' } }
    const place = { kind: 'wait', time: 20 * S, replace: false, wave: true, settle: [] }
    test.each<[string, Decision, object]>([
      [
        'while the run is active it waits for the run',
        at(22, forbid, cell(20, { active: running, ...held }), full),
        { kind: 'idle', at: 28 * S + 1 },
      ],
      [
        'while the run is active it waits for the run, even if it waited for a slot before',
        at(22, forbid, cell(20, { active: running, ...waiting(20) }), full),
        { kind: 'idle', at: 28 * S + 1 },
      ],
      ['when the run has ended it waits for a slot', at(22, forbid, cell(20, held), full), place],
      [
        'with catchUp All too, and the times behind it stay open',
        at(32, { ...forbid, catchUp: 'All', startingDeadlineSeconds: 60 }, cell(20, held), full),
        place,
      ],
      [
        'unless a newer time is due: then that one waits',
        at(30, { ...forbid, startingDeadlineSeconds: 60 }, cell(20, held), full),
        { ...place, time: 30 * S, settle: [skipped(20, 20, 1, 'WaveFull')] },
      ],
      [
        'with a free slot it is claimed',
        at(22, forbid, cell(20, waiting(20))),
        { kind: 'claim', time: 20 * S, settle: [] },
      ],
      [
        'past its deadline it is Missed if it waited for a slot',
        at(28.1, forbid, cell(20, waiting(20)), full),
        { kind: 'settle', settle: [missed(20, 20, 1, 'DeadlineExceeded')] },
      ],
      [
        'past its deadline it is Skipped if it waited for the run',
        at(28.1, forbid, cell(20, { active: running, ...held }), full),
        { kind: 'settle', settle: [skipped(20, 20, 1, 'DeadlineExceeded')] },
      ],
    ])('%s', (_, decision, expected) => {
      expect(decision).toEqual(expected)
    })
  })
  test('Forbid and Replace come first', () => {
    const replace = { concurrencyPolicy: 'Replace' as const }
    const held = at(20, replace, cell(10, { active: running }), full)
    expect(held).toMatchObject({ kind: 'wait', replace: true })
    expect(held).not.toHaveProperty('wave')
  })
  test("a policy's maxConcurrentRuns also limits waiting times", () => {
    expect(at(27, { maxConcurrentRuns: 1 }, cell(20, { active: running, ...waiting(20) }))).toEqual({
      kind: 'settle',
      settle: [skipped(20, 20, 1, 'TooManyRuns')],
    })
  })
})

test('an edit settles every time up to its instant, the waiting one included', () => {
  const state = cell(20, { active: running, waiting: { time: 20 * S, by: 'a' } })
  expect(settleUpTo({ entry: entry({}), times: tens, cell: state }, 45 * S, 'Rescheduled')).toEqual([
    { ...skipped(20, 20, 1, 'Rescheduled') },
    missed(30, 40, 2, 'Rescheduled'),
  ])
})

describe('a claimed time that could not start in time', () => {
  const judged = (now: number, over: Partial<JobEntry>, waited = false) =>
    closedAfterClaim({ entry: entry(over), times: tens, offset: 0, now: now * S }, { time: 10 * S, waited })
  test.each<[string, Partial<JobEntry>, number, number, string]>([
    ['its deadline', { startingDeadlineSeconds: 5 }, 15, 15.001, 'DeadlineExceeded'],
    ['catchUp None', { catchUp: 'None' }, 15, 15.001, 'NotCaughtUp'],
    ['catchUp Latest and a newer time', { catchUp: 'Latest' }, 19.999, 20, 'NotCaughtUp'],
    ['catchUpLimit', { catchUp: 'All', catchUpLimit: 2 }, 29.999, 30, 'CatchUpLimit'],
  ])('is closed by %s', (_, over, last, closed, reason) => {
    expect(judged(last, over)).toBeUndefined()
    expect(judged(closed, over)).toBe(reason)
  })
  test('that waited before is closed by its deadline alone', () => {
    expect(judged(999, { catchUp: 'None' }, true)).toBeUndefined()
    expect(judged(15.001, { catchUp: 'None', startingDeadlineSeconds: 5 }, true)).toBe('DeadlineExceeded')
  })
  test('is not judged before its instant', () => {
    expect(judged(9, { startingDeadlineSeconds: 0 })).toBeUndefined()
  })
})
