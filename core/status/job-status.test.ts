import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OUTCOMES } from '../records/state.ts'
import { rfc3339 } from '../rfc3339.ts'
import { jobStatus as jobStatusSchema } from '../schema/status.ts'
import { STALLED_AFTER_MS } from './blocked-conditions.ts'
import type { FireSummary } from './fire-summary.ts'
import { firesNeeded, type JobFacts, jobStatus } from './job-status.ts'
import { noAgentMatches } from './no-agent-matches.ts'
import { jsonBytes } from './size-limit.ts'

const T0 = Date.UTC(2026, 0, 1)
/** An active run's id. It names the clock epoch. */
const RUN = `ops.report.${T0}`
const SECOND = 1_000
const MINUTE = 60 * SECOND

function facts(over: Partial<JobFacts> = {}): JobFacts {
  return {
    namespace: 'ops',
    name: 'report',
    now: T0 + 60 * MINUTE,
    created: T0,
    generation: 3,
    schedules: ['0 1 * * *'],
    script: '\ndf -h && free -m\n',
    target: 'One default',
    compileState: { since: 0, stalled: false },
    limits: { succeeded: 3, failed: 3 },
    active: [],
    fires: [],
    milestones: {},
    nextTimes: [1, 2, 3, 4, 5, 6].map(n => T0 + (60 + n) * MINUTE),
    targets: { matched: 1, ready: 1 },
    ...over,
  }
}

function fire(minute: number, over: Partial<FireSummary> = {}): FireSummary {
  const time = T0 + minute * MINUTE
  return {
    time,
    id: `ops.report.${time}`,
    outcome: 'Succeeded',
    startedAt: time + 5,
    endedAt: time + 1_500,
    exitCode: 0,
    reason: 'Completed',
    targets: { succeeded: 1, failed: 0, missed: 0 },
    failedTargets: [],
    ...over,
  }
}

const failed = (minute: number, over: Partial<FireSummary> = {}) =>
  fire(minute, {
    outcome: 'Failed',
    exitCode: 7,
    reason: 'NonZeroExitCode',
    targets: { succeeded: 0, failed: 1, missed: 0 },
    ...over,
  })

/** `Ready=True(Compiled)`, … */
function conditionsOf(over: Partial<JobFacts>): Record<string, string> {
  const { conditions = [] } = jobStatus(facts(over))
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]))
}

const blocked = {
  reason: 'SecretNotFound',
  message: 'spec.template…: Secret ops/s does not exist: create it',
}

describe('the conditions table', () => {
  const ready = {
    Ready: 'True Compiled',
    Reconciling: 'False Compiled',
    Stalled: 'False Compiled',
    HasTargets: 'True AgentsMatch',
  }

  test('compiled is Ready, also when running, or when its last run failed', () => {
    expect(conditionsOf({})).toEqual({ ...ready, LastRunSucceeded: 'Unknown NoRunYet' })
    const running = { active: [{ run: RUN, time: T0, target: '-', notBefore: T0, attempt: 1 }] }
    expect(conditionsOf(running)).toEqual({ ...ready, LastRunSucceeded: 'Unknown NoRunYet' })
    expect(conditionsOf({ fires: [failed(1)] })).toEqual({ ...ready, LastRunSucceeded: 'False Failed' })
    expect(conditionsOf({ fires: [fire(1)] })).toEqual({ ...ready, LastRunSucceeded: 'True Succeeded' })
  })

  test('suspended is Ready, with the user who suspended it', () => {
    expect(conditionsOf({ suspended: { by: '' } })).toMatchObject({ Ready: 'True Suspended' })
    const { conditions, nextScheduleTimes } = jobStatus(facts({ suspended: { by: 'eva' } }))
    expect(conditions?.[0]?.message).toBe('suspended by eva')
    expect(nextScheduleTimes).toBeUndefined()
  })

  test('a problem that another object may fix is Reconciling for 2 minutes, then Stalled', () => {
    const since = T0 + 60 * MINUTE - STALLED_AFTER_MS
    const waiting = { compileState: { blocked: { ...blocked, mendable: true }, since, stalled: false } }
    expect(conditionsOf(waiting)).toMatchObject({
      Ready: 'False SecretNotFound',
      Reconciling: 'True SecretNotFound',
      Stalled: 'False Reconciling',
    })
    const passed = { compileState: { ...waiting.compileState, stalled: true } }
    expect(conditionsOf(passed)).toMatchObject({
      Ready: 'False SecretNotFound',
      Reconciling: 'False Stalled',
      Stalled: 'True SecretNotFound',
    })
    const { conditions } = jobStatus(facts(passed))
    expect(conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
      '2026-01-01T00:58:00Z',
      '2026-01-01T01:00:00Z',
      '2026-01-01T01:00:00Z',
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:00:00Z',
    ])
  })

  test('a problem that only an edit fixes is Stalled at once, with the message, and there is no next run', () => {
    const compileState = { blocked: { ...blocked, mendable: false }, since: T0 + 60 * MINUTE, stalled: true }
    expect(conditionsOf({ compileState })).toMatchObject({
      Ready: 'False SecretNotFound',
      Reconciling: 'False Stalled',
      Stalled: 'True SecretNotFound',
    })
    const status = jobStatus(facts({ compileState, nextTimes: [] }))
    expect(status.conditions?.[2]?.message).toBe(blocked.message)
    expect(status).not.toHaveProperty('nextScheduleTime')
  })

  test('every condition has the generation that it describes', () => {
    const { conditions, observedGeneration } = jobStatus(facts())
    expect(observedGeneration).toBe(3)
    expect(conditions?.every(one => one.observedGeneration === 3)).toBe(true)
  })
})

describe('HasTargets', () => {
  const unmatched = noAgentMatches({ pool: 'default', placement: { agents: ['nope'] }, members: 2 })
  const none = { targets: { matched: 0, ready: 0 }, unmatched }

  test('is False while no agent matches, and names the target; Ready stays True', () => {
    expect(conditionsOf(none)).toMatchObject({ Ready: 'True Compiled', HasTargets: 'False NoAgentMatches' })
    const { conditions, targets } = jobStatus(facts(none))
    expect(conditions?.find(({ type }) => type === 'HasTargets')?.message).toBe(
      'no agent of pool default is named nope: correct spec.template.spec.target.agents, or add such an agent',
    )
    expect(targets).toEqual({ matched: 0, ready: 0, summary: '0/0' })
    expect(conditionsOf({})).toMatchObject({ HasTargets: 'True AgentsMatch' })
  })

  test('changes now, not at the creation of the object', () => {
    const { conditions: previous } = jobStatus(facts())
    const { conditions } = jobStatus(facts({ ...none, previous }))
    expect(conditions?.find(({ type }) => type === 'HasTargets')?.lastTransitionTime).toBe(
      '2026-01-01T01:00:00Z',
    )
  })

  test('names the selector, or the pool without agents', () => {
    const selector = { matchLabels: { role: 'db' }, matchExpressions: [] }
    expect(noAgentMatches({ pool: 'p', placement: { agents: [], selector }, members: 1 })).toBe(
      'no agent of pool p matches the selector role=db: correct spec.template.spec.target.selector, or label an agent',
    )
    expect(noAgentMatches({ pool: 'p', placement: { agents: [] }, members: 0 })).toMatch(
      /^pool p has no agents/,
    )
  })
})

describe('LastRunSucceeded', () => {
  const cases: [string, FireSummary[], string, string][] = [
    ['a failure, with its exit code', [failed(2), fire(1)], 'False Failed', 'Failed: exit code 7'],
    ['a signal', [failed(2, { signal: 'SIGSEGV' })], 'False Failed', 'Failed: killed by SIGSEGV'],
    ['a success after it', [fire(3), failed(2)], 'True Succeeded', 'Succeeded'],
    [
      'a timeout',
      [fire(2, { outcome: 'TimedOut', exitCode: undefined, reason: 'DeadlineExceeded' } as never)],
      'False TimedOut',
      'TimedOut: DeadlineExceeded',
    ],
    [
      'a skipped time does not count',
      [fire(3, { outcome: 'Skipped' }), failed(2)],
      'False Failed',
      'Failed: exit code 7',
    ],
    [
      'a cancelled time does not count',
      [fire(3, { outcome: 'Cancelled' }), fire(2)],
      'True Succeeded',
      'Succeeded',
    ],
    [
      'failed on some targets',
      [
        failed(2, {
          targets: { succeeded: 8, failed: 3, missed: 1 },
          failedTargets: ['a', 'b', 'c', 'd'],
          message: 'no space',
        }),
      ],
      'False Failed',
      'Failed on 4 of 12 targets (a, b, c, …): exit code 7: no space',
    ],
    [
      'missed times in one message',
      [
        fire(9, {
          outcome: 'Missed',
          exitCode: undefined,
          reason: 'NotCaughtUp',
          range: { first: T0, count: 10 },
        } as never),
      ],
      'False Missed',
      'Missed 10 times from 2026-01-01T00:00:00Z to 2026-01-01T00:09:00Z: NotCaughtUp',
    ],
  ]
  test.each(cases)('%s', (_, fires, verdict, message) => {
    const { conditions } = jobStatus(facts({ fires }))
    const last = conditions?.find(({ type }) => type === 'LastRunSucceeded')
    expect(`${last?.status} ${last?.reason}`).toBe(verdict)
    expect(last?.message.replace(/^\S+ /, '')).toBe(message)
  })

  test('a fire that is still active on other targets is not the last run', () => {
    const active = [{ run: RUN, time: T0 + 2 * MINUTE, target: 'b', notBefore: T0 + 2 * MINUTE, attempt: 1 }]
    expect(conditionsOf({ fires: [failed(2), fire(1)], active }).LastRunSucceeded).toBe('True Succeeded')
    expect(jobStatus(facts({ fires: [failed(2), fire(1)], active }))).toMatchObject({
      lastResult: 'Succeeded',
      activeCount: 1,
      active: [{ id: `ops.report.${T0 + 2 * MINUTE}`, targets: 1 }],
      runs: [{ id: `ops.report.${T0 + MINUTE}` }],
    })
  })
})

describe('lastTransitionTime', () => {
  const at = (over: Partial<JobFacts>) =>
    Object.fromEntries(
      (jobStatus(facts(over)).conditions ?? []).map(one => [one.type, one.lastTransitionTime]),
    )

  test('is the same after a restart, because it comes from facts', () => {
    const fires = [failed(9), failed(8), fire(7)]
    const milestones = { since: T0 + 4 * MINUTE + 1_500 }
    expect(at({ fires, milestones })).toEqual({
      Ready: '2026-01-01T00:00:00Z',
      Reconciling: '2026-01-01T00:00:00Z',
      Stalled: '2026-01-01T00:00:00Z',
      HasTargets: '2026-01-01T00:00:00Z',
      LastRunSucceeded: '2026-01-01T00:04:01Z',
    })
  })

  test('does not change while the status of the condition is the same', () => {
    const { conditions } = jobStatus(facts({ fires: [failed(5)], milestones: { since: T0 + 5 * MINUTE } }))
    const later = {
      fires: [failed(9)],
      milestones: { since: T0 + 7 * MINUTE },
      previous: conditions,
      suspended: { by: '' },
    }
    expect(at(later)).toEqual(at({ fires: [failed(5)], milestones: { since: T0 + 5 * MINUTE } }))
  })

  test('is the time of the fix, not of the creation of the object', () => {
    const compileState = { blocked: { ...blocked, mendable: true }, since: T0 + 59 * MINUTE, stalled: false }
    const { conditions } = jobStatus(facts({ compileState }))
    const now = T0 + 61 * MINUTE
    expect(at({ previous: conditions, now })).toMatchObject({
      Ready: '2026-01-01T01:01:00Z',
      Reconciling: '2026-01-01T01:01:00Z',
      Stalled: '2026-01-01T00:59:00Z',
    })
  })

  test('a run that succeeds after one that failed changes it to its end', () => {
    const { conditions } = jobStatus(facts({ fires: [failed(5)], milestones: { since: T0 + 5 * MINUTE } }))
    const after = {
      fires: [fire(6), failed(5)],
      milestones: { since: T0 + 6 * MINUTE + 1_500 },
      previous: conditions,
    }
    expect(at(after).LastRunSucceeded).toBe('2026-01-01T00:06:01Z')
  })
})

describe('the other fields of a status', () => {
  test('the columns of kubectl get are filled', () => {
    const status = jobStatus(
      facts({
        schedules: ['0 1 * * *', '@every 90s'],
        fires: [fire(59, { outcome: 'Skipped' }), failed(58, { tail: 'x' }), fire(57)],
        milestones: {
          lastScheduled: T0 + 58 * MINUTE,
          lastSuccessful: T0 + 57 * MINUTE + 1_500,
          lastFailure: T0 + 58 * MINUTE + 1_500,
          failureTail: 'bad\n',
        },
      }),
    )
    expect(status).toMatchObject({
      schedule: '0 1 * * *, @every 90s',
      activeCount: 0,
      lastResult: 'Skipped',
      command: 'df -h && free -m',
      target: 'One default',
      lastScheduleTime: '2026-01-01T00:58:00Z',
      lastSuccessfulTime: '2026-01-01T00:57:01Z',
      lastFailureTime: '2026-01-01T00:58:01Z',
      nextScheduleTime: '2026-01-01T01:01:00Z',
      outputTail: 'bad\n',
      targets: { matched: 1, ready: 1 },
    })
    expect(status.nextScheduleTimes).toHaveLength(5)
    expect(status.runs?.[1]).toEqual({
      id: `ops.report.${T0 + 58 * MINUTE}`,
      scheduledTime: '2026-01-01T00:58:00Z',
      startTime: '2026-01-01T00:58:00.005Z',
      completionTime: '2026-01-01T00:58:01.500Z',
      outcome: 'Failed',
      exitCode: 7,
      reason: 'NonZeroExitCode',
      targets: { succeeded: 0, failed: 1, missed: 0 },
    })
  })

  test('the last schedule time is that of an active fire, if none is newer', () => {
    const active = [
      { run: RUN, time: T0 + 3 * MINUTE, target: 'a', notBefore: T0 + 3 * MINUTE + 10, attempt: 1 },
      { run: RUN, time: T0 + 3 * MINUTE, target: 'b', notBefore: T0 + 3 * MINUTE, attempt: 1 },
      { run: RUN, time: T0 + 2 * MINUTE, target: 'a', notBefore: T0 + 2 * MINUTE, attempt: 1 },
    ]
    expect(jobStatus(facts({ active, milestones: { lastScheduled: T0 } }))).toMatchObject({
      lastScheduleTime: '2026-01-01T00:03:00Z',
      activeCount: 2,
      active: [
        { id: `ops.report.${T0 + 3 * MINUTE}`, startTime: '2026-01-01T00:03:00Z', targets: 2 },
        { id: `ops.report.${T0 + 2 * MINUTE}`, targets: 1 },
      ],
    })
  })

  test('history limits count each verdict by itself; a limit of 0 keeps none, but the last verdict stays', () => {
    const fires = [fire(9), fire(8, { outcome: 'Skipped' }), failed(7), fire(6), failed(5), failed(4)]
    const kept = (succeeded: number, failed: number) =>
      jobStatus(facts({ fires, limits: { succeeded, failed } })).runs?.map(run => run.outcome)
    expect(kept(1, 2)).toEqual(['Succeeded', 'Skipped', 'Failed', 'Failed'])
    expect(kept(0, 0)).toEqual(['Skipped'])
    expect(conditionsOf({ fires, limits: { succeeded: 0, failed: 0 } }).LastRunSucceeded).toBe(
      'True Succeeded',
    )
  })

  test('the query to the log store adds the active fires, and asks for at least one of each outcome', () => {
    const active = [1, 1, 2].map(time => ({ run: RUN, time, target: 'x', notBefore: 0, attempt: 1 }))
    expect(firesNeeded({ succeeded: 0, failed: 3 }, active)).toEqual({ succeeded: 3, failed: 5 })
  })
})

test('a status of any fleet fits its schema and 16 KiB, and keeps its newest run', () => {
  const name = fc.string({ minLength: 200, maxLength: 253, unit: fc.constantFrom('a', 'b', '-', '.') })
  const any = fc.string({ unit: 'binary', maxLength: 3_000 })
  const world = fc.record({
    names: fc.array(name, { minLength: 10, maxLength: 20 }),
    text: any,
    angry: fc.constantFrom('<', '\u0001', '🦊', 'x'),
    active: fc.integer({ min: 0, max: 40 }),
    outcomes: fc.array(fc.constantFrom(...OUTCOMES), { maxLength: 60 }),
  })
  fc.assert(
    fc.property(world, ({ names, text, angry, active, outcomes }) => {
      const long = text + angry.repeat(2_000)
      const target = (n: number) => `${n}-${names[n % names.length]}`.slice(0, 253)
      const status = jobStatus(
        facts({
          namespace: 'n'.repeat(63),
          name: 'j'.repeat(52),
          schedules: Array.from({ length: 16 }, () => long.slice(0, 256)),
          script: long,
          target: long.slice(0, 128),
          limits: { succeeded: 20, failed: 20 },
          compileState: {
            since: T0,
            stalled: false,
            blocked: { reason: 'Bad', message: long, mendable: true },
          },
          active: Array.from({ length: active * 25 }, (_, n) => ({
            run: RUN,
            time: T0 - Math.floor(n / 25),
            target: target(n),
            notBefore: T0,
            attempt: 1,
          })),
          fires: outcomes.map((outcome, n) =>
            fire(1_000 - n, {
              outcome,
              id: `${'n'.repeat(63)}.${'j'.repeat(52)}.${T0}`,
              reason: long.slice(0, 600),
              message: long,
              tail: long,
              targets: { succeeded: 0, failed: 1_000, missed: 0 },
              failedTargets: Array.from({ length: 10 }, (_, n) => target(n)),
            }),
          ),
          milestones: { failureTail: long },
        }),
      )
      expect(jsonBytes(status)).toBeLessThanOrEqual(16 * 1_024)
      expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThanOrEqual(16 * 1_024)
      expect(jobStatusSchema.safeParse(status).error).toBeUndefined()
      expect(Buffer.byteLength(status.outputTail ?? '')).toBeLessThanOrEqual(1_024)
      if (outcomes.length > 0) expect(status.runs?.[0]?.scheduledTime).toBe(rfc3339(T0 + 1_000 * MINUTE))
    }),
    { numRuns: 100 },
  )
})

describe('a clock that was ahead', () => {
  const HOUR = 60 * MINUTE
  const ahead = T0 + 48 * HOUR
  /** A run that was claimed under it. */
  const early = { run: `ops.report.${ahead}`, time: ahead, target: '-', notBefore: ahead, attempt: 1 }
  const clockSetBack = { at: T0 + 50 * MINUTE, until: ahead }

  test('its active runs have their own entries, and are older than those of the next clock epoch', () => {
    const again = { ...early, run: `ops.report.${ahead}~1`, target: 'b' }
    const { active } = jobStatus(facts({ active: [early, again] }))
    expect(active?.map(({ id, targets }) => [id, targets])).toEqual([
      [`ops.report.${ahead}~1`, 1],
      [`ops.report.${ahead}`, 1],
    ])
  })

  test('a finished fire is not hidden by an active one of the same time in another clock epoch', () => {
    const time = T0 + MINUTE
    const active = [{ ...early, run: `ops.report.${time}~1`, time }]
    expect(jobStatus(facts({ active, fires: [fire(1)] }))).toMatchObject({
      lastResult: 'Succeeded',
      activeCount: 1,
    })
  })

  test('the last schedule time is not in the future', () => {
    const { lastScheduleTime } = jobStatus(facts({ active: [early], milestones: { lastScheduled: T0 } }))
    expect(lastScheduleTime).toBe('2026-01-01T00:00:00Z')
    expect(jobStatus(facts({ active: [early] }))).not.toHaveProperty('lastScheduleTime')
  })

  test('Ready says what happened, until the times that were used have passed', () => {
    const messageAt = (now: number) =>
      jobStatus(facts({ clockSetBack, now })).conditions?.find(({ type }) => type === 'Ready')?.message
    expect(messageAt(T0 + HOUR)).toBe(
      "compiled and scheduled; the operator's clock was ahead until about 2026-01-01T00:50:00Z: times up to 2026-01-03T00:00:00Z were used under it, and count again since then",
    )
    expect(messageAt(ahead)).toContain('was ahead')
    expect(messageAt(ahead + 1)).toBe('compiled and scheduled')
  })
})
