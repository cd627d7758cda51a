import { expect, test } from 'vitest'
import { type JobEntry, jobEntrySchema } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import { entryTimes } from '../entry-times.ts'
import { decideUnclaimed, firstLook } from './decide-unclaimed.ts'

const T0 = Date.UTC(2026, 0, 1)
const MINUTE = 60_000

const entryOf = (over: object = {}): JobEntry =>
  jobEntrySchema.parse({
    kind: 'job',
    uid: 'u',
    generation: 1,
    pool: 'default',
    namespace: 'ops',
    name: 'a',
    command: { placement: {}, host: {}, shell: ['/bin/sh', '-c'], script: 'true', outputLimit: 1 },
    schedules: ['* * * * *'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: T0,
    ...over,
  })

interface At {
  now: number
  entry?: object
  cell?: Partial<Cell>
  living?: boolean
  nobody?: string
  settledAt?: number
}

function at({ now, entry = {}, cell, living = false, nobody, settledAt = 0 }: At) {
  const parsed = entryOf(entry)
  return decideUnclaimed({
    entry: parsed,
    ...entryTimes(parsed),
    cell: cell && { uid: 'u', lastFire: T0, active: [], ...cell },
    now: T0 + now,
    living,
    nobody,
    settledAt: T0 + settledAt,
  })
}

test('a time is left to the agents for three seconds, then it is offered', () => {
  expect(at({ now: MINUTE + 2_999, living: true })).toEqual({ settle: [], at: T0 + MINUTE + 3_000 })
  expect(at({ now: MINUTE + 3_000, living: true })).toMatchObject({ offer: T0 + MINUTE, settle: [] })
})

test('without a living agent the newest time stays open, and the times before it are Missed', () => {
  expect(at({ now: MINUTE + 3_000 })).toEqual({ settle: [], at: T0 + 2 * MINUTE + 3_000 })
  expect(at({ now: 3 * MINUTE + 6_000 }).settle).toEqual([
    { first: T0 + MINUTE, last: T0 + 2 * MINUTE, count: 2, outcome: 'Missed', reason: 'NotCaughtUp' },
  ])
})

test('times of a frequent job are settled although a newer one is always left to the agents', () => {
  const often = { entry: { schedules: ['@every 2s'], startingDeadlineSeconds: 3 } }
  expect(at({ ...often, now: 12_500 })).toMatchObject({
    settle: [{ first: T0 + 2_000, last: T0 + 8_000, count: 4, outcome: 'Missed' }],
    at: T0 + 13_000,
  })
  expect(at({ ...often, now: 12_500, settledAt: 4_000 }).settle).toEqual([])
  expect(at({ ...often, now: 12_500, cell: { lastFire: T0 + 8_000 } }).settle).toEqual([])
})

test('a time that is Missed because no agent was there says so', () => {
  const nobody = 'NoAgentMatches'
  expect(at({ now: 3 * MINUTE + 6_000, nobody }).settle).toMatchObject([{ count: 2, reason: nobody }])
  const entry = { startingDeadlineSeconds: 10 }
  expect(at({ now: MINUTE + 11_000, entry, nobody }).settle).toMatchObject([{ reason: nobody }])
  const blocked = { blocked: { reason: 'PolicyRefused', message: 'no' } }
  expect(at({ now: MINUTE, entry: blocked, nobody }).settle).toMatchObject([{ reason: 'PolicyRefused' }])
})

test('a deadline closes a time, even if a living agent does not claim it', () => {
  const entry = { startingDeadlineSeconds: 10 }
  expect(at({ now: MINUTE + 10_500, entry, living: true }).settle).toMatchObject([
    { reason: 'DeadlineExceeded' },
  ])
})

test('one target is settled at most every ten seconds', () => {
  const entry = { startingDeadlineSeconds: 10 }
  expect(at({ now: MINUTE + 11_000, entry, settledAt: MINUTE + 5_000 })).toEqual({
    settle: [],
    at: T0 + MINUTE + 15_000,
  })
})

test('the times of a blocked job are recorded with its reason', () => {
  const entry = { blocked: { reason: 'PolicyRefused', message: 'no' } }
  expect(at({ now: MINUTE, entry, living: true }).settle).toMatchObject([
    { outcome: 'Missed', reason: 'PolicyRefused', count: 1 },
  ])
})

test('a suspended job has no times', () => {
  expect(at({ now: MINUTE, entry: { suspended: true } })).toEqual({ settle: [], at: undefined })
})

test('a waiting time is Skipped after its deadline; before it, it is offered once no run is active', () => {
  const entry = { concurrencyPolicy: 'Forbid', startingDeadlineSeconds: 30 }
  const cell = { lastFire: T0 + MINUTE, waiting: { time: T0 + MINUTE, by: 'gone' } }
  expect(at({ now: MINUTE + 31_000, entry, cell, living: true }).settle).toMatchObject([
    { first: T0 + MINUTE, outcome: 'Skipped', reason: 'DeadlineExceeded' },
  ])
  expect(at({ now: MINUTE + 20_000, entry, cell, living: true })).toMatchObject({ offer: T0 + MINUTE })
})

test('a time that waits for a wave slot is not offered; while its agent is away it stays until a newer one is due', () => {
  const cell = { lastFire: T0 + MINUTE, waiting: { time: T0 + MINUTE, by: 'a', wave: true } }
  const now = MINUTE + 30_000
  expect(at({ now, cell, living: true })).toEqual({ settle: [], at: T0 + 2 * MINUTE + 3_000 })
  expect(at({ now, cell })).toEqual({ settle: [], at: T0 + 2 * MINUTE + 3_000 })
  const later = 2 * MINUTE + 3_000
  expect(at({ now: later, cell, living: true })).toMatchObject({ settle: [] })
  expect(at({ now: later, cell }).settle).toEqual([
    { first: T0 + MINUTE, last: T0 + MINUTE, count: 1, outcome: 'Missed', reason: 'NotCaughtUp' },
  ])
  expect(at({ now: later, cell, entry: { catchUp: 'All' } }).settle).toEqual([])
  expect(at({ now: MINUTE + 11_000, cell, entry: { startingDeadlineSeconds: 10 } }).settle).toMatchObject([
    { outcome: 'Missed', reason: 'DeadlineExceeded' },
  ])
})

test('without a living agent the operator puts a time that concurrency holds back into the cell', () => {
  const entry = { concurrencyPolicy: 'Forbid' }
  const cell = { active: [{ run: 'ops.a.1', agent: 'dead', attempt: 1 }] }
  expect(at({ now: MINUTE + 3_000, entry, cell })).toMatchObject({ wait: T0 + MINUTE })
})

test('the first decision is three seconds after the next time; soon, if the run before a waiting time has ended', () => {
  const entry = entryOf()
  const cell: Cell = { uid: 'u', lastFire: T0 + MINUTE, active: [], waiting: { time: T0 + MINUTE, by: 'a' } }
  expect(firstLook({ entry, ...entryTimes(entry), cell: undefined, now: T0 })).toBe(T0 + MINUTE + 3_000)
  expect(firstLook({ entry, ...entryTimes(entry), cell, now: T0 + MINUTE })).toBe(T0 + MINUTE + 3_000)
})
