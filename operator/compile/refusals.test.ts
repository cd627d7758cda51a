import { expect, test } from 'vitest'
import { createTimetable } from '../../core/timetable/timetable.ts'
import { blocked } from './blocked.ts'
import { firstRefusal, JOB_CHECKS, type JobFindings, RUN_CHECKS, type RunFindings } from './refusals.ts'

const times = createTimetable({
  schedules: ['* * * * *'],
  timeZone: 'UTC',
  daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
  hashKey: 'ops/a',
})
const shared = {
  problems: [{ reason: 'InvalidTemplate', field: 'spec', message: 'is wrong' }],
  pool: 'x',
  pools: new Set(['default']),
  policy: blocked('PolicyRefused', 'no'),
  environment: blocked('SecretNotFound', 'no'),
} as const
const limits = { maxJobs: 1, minIntervalSeconds: 90 }

/** Fixes each refusal in turn, and lists the reasons in the order in which they appear. */
function reasons<T>(checks: Parameters<typeof firstRefusal<T>>[0], found: T, fixes: readonly Partial<T>[]) {
  let state = found
  return [undefined, ...fixes].map(fix => {
    state = { ...state, ...fix }
    return firstRefusal(checks, state)?.reason
  })
}

test('a job is refused for the first reason in the list', () => {
  const found: JobFindings = { ...shared, times: { next: () => undefined }, olderJobs: () => 1 }
  expect(
    reasons<JobFindings>(JOB_CHECKS, found, [
      { problems: [] },
      { times },
      { pool: 'default' },
      { policy: { kind: 'allowed', limits } },
      { olderJobs: () => 0 },
      { policy: { kind: 'allowed', limits: {} } },
      { environment: { env: [], secret: {} } },
    ]),
  ).toEqual([
    'InvalidTemplate',
    'NeverFires',
    'PoolNotFound',
    'PolicyRefused',
    'TooManyJobs',
    'IntervalTooShort',
    'SecretNotFound',
    undefined,
  ])
})

test('a ShellRun is refused for the first reason in the list', () => {
  const found: RunFindings = { ...shared, targets: blocked('NoTargets', 'no') }
  expect(
    reasons<RunFindings>(RUN_CHECKS, found, [
      { problems: [] },
      { pool: 'default' },
      { policy: { kind: 'allowed', limits } },
      { targets: { names: [] } },
      { environment: { env: [], secret: {} } },
    ]),
  ).toEqual(['InvalidTemplate', 'PoolNotFound', 'PolicyRefused', 'NoTargets', 'SecretNotFound', undefined])
})
