import { describe, expect, test } from 'vitest'
import { OUTCOMES } from '../records/state.ts'
import { agentStatus as agentStatusSchema, runStatus as runStatusSchema } from '../schema/status.ts'
import { agentStatus } from './agent-status.ts'
import type { FireSummary } from './fire-summary.ts'
import { type RunFacts, runStatus } from './run-status.ts'
import { targetText } from './target-column.ts'

const T0 = Date.UTC(2026, 0, 1)
/** An active run's id. It names the clock epoch. */
const RUN = 'ops.once.run-0a1b2c3d'

function facts(over: Partial<RunFacts> = {}): RunFacts {
  return {
    now: T0 + 600_000,
    created: T0,
    generation: 1,
    target: 'One default',
    compileState: { since: 0, stalled: false },
    active: [],
    open: 1,
    ...over,
  }
}

function ended(over: Partial<FireSummary> = {}): Partial<RunFacts> {
  const fire: FireSummary = {
    time: T0,
    id: 'ops.once.run-0a1b2c3d',
    outcome: 'Succeeded',
    startedAt: T0 + 1_000,
    endedAt: T0 + 2_000,
    exitCode: 0,
    tail: 'done\n',
    targets: { succeeded: 1, failed: 0, missed: 0 },
    failedTargets: [],
    ...over,
  }
  return { open: 0, fire }
}

function conditionsOf(over: Partial<RunFacts>): string {
  const { conditions = [] } = runStatus(facts(over))
  return conditions
    .filter(({ status }) => status === 'True')
    .map(({ type, reason }) => `${type} ${reason}`)
    .concat(conditions.find(({ type }) => type === 'Ready')?.status === 'False' ? 'not Ready' : [])
    .join(', ')
}

const blocked = { reason: 'PolicyRefused', message: 'no ShellPolicy allows host.user root in ops' }
const running = { active: [{ run: RUN, time: T0, target: '-', notBefore: T0 + 1_000, attempt: 1 }], open: 0 }

describe('the conditions table', () => {
  test('a run that no agent matches says so while it waits', () => {
    const { conditions } = runStatus(facts({ unmatched: 'pool db has no agents' }))
    expect(conditions?.[0]).toMatchObject({
      type: 'Ready',
      status: 'False',
      reason: 'NoAgentMatches',
      message: 'waiting for an agent: pool db has no agents',
    })
  })

  test('succeeded is Ready and Complete', () => {
    expect(conditionsOf(ended())).toBe('Ready Succeeded, Complete Succeeded')
  })

  test.each(OUTCOMES.filter(outcome => outcome !== 'Succeeded'))(
    '%s is Stalled and Failed, for that reason',
    outcome => {
      expect(conditionsOf(ended({ outcome }))).toBe(`Stalled ${outcome}, Failed ${outcome}, not Ready`)
    },
  )

  test('the message has the exit code', () => {
    const { conditions, ...status } = runStatus(
      facts(ended({ outcome: 'Failed', exitCode: 3, message: 'why' })),
    )
    for (const type of ['Ready', 'Stalled', 'Failed'])
      expect(conditions?.find(one => one.type === type)?.message).toBe('Failed: exit code 3: why')
    expect(status).toMatchObject({ phase: 'Failed', exitCode: 3, outputTail: 'done\n' })
  })

  test('waiting and running are Reconciling', () => {
    expect(conditionsOf({})).toBe('Reconciling Pending, not Ready')
    expect(conditionsOf(running)).toBe('Reconciling Running, not Ready')
  })

  test('a problem that another object may fix is Reconciling for 2 minutes, then Stalled, and not yet Failed', () => {
    const waits = (stalled: boolean) => ({
      compileState: { since: T0, blocked: { ...blocked, mendable: true }, stalled },
    })
    expect(conditionsOf(waits(false))).toBe('Reconciling PolicyRefused, not Ready')
    expect(conditionsOf(waits(true))).toBe('Stalled PolicyRefused, not Ready')
  })

  test('a policy that refuses the run after its start does not change its conditions', () => {
    const compileState = { since: T0, blocked: { ...blocked, mendable: true }, stalled: true }
    expect(conditionsOf({ ...running, compileState })).toBe('Reconciling Running, not Ready')
    expect(conditionsOf({ ...ended(), compileState })).toBe('Ready Succeeded, Complete Succeeded')
  })
})

test('between two attempts the message has the start of the next one, and startTime is not in the future', () => {
  const active = [{ run: RUN, time: T0, target: '-', notBefore: T0 + 20_000, attempt: 2 }]
  const { conditions, ...status } = runStatus(facts({ active, open: 0 }))
  expect(status.phase).toBe('Running')
  expect(status).not.toHaveProperty('startTime')
  expect(conditions?.[0]?.message).toBe('attempt 2, start time 2026-01-01T00:00:20Z')
})

test('a run is not complete before its last target has ended', () => {
  const some = ended({ targets: { succeeded: 5, failed: 0, missed: 0 } })
  const { conditions, ...status } = runStatus(facts({ ...some, open: 2 }))
  expect(status).toMatchObject({ phase: 'Running', startTime: '2026-01-01T00:00:01Z' })
  expect(status).not.toHaveProperty('completionTime')
  expect(conditions?.[0]?.message).toBe('active on 0 of 7 targets; 5 finished')
  const both = {
    ...some,
    active: [{ run: RUN, time: T0, target: 'a', notBefore: T0 + 500, attempt: 1 }],
    open: 1,
  }
  expect(runStatus(facts(both)).phase).toBe('Running')
})

test('every phase fits the schema', () => {
  for (const over of [{}, running, ended(), ended({ outcome: 'Missed' })])
    expect(runStatusSchema.safeParse(runStatus(facts(over))).error).toBeUndefined()
})

test('transition times come from the facts of the run, so they survive a restart', () => {
  const at = (over: Partial<RunFacts>) =>
    Object.fromEntries(
      (runStatus(facts(over)).conditions ?? []).map(one => [one.type, one.lastTransitionTime.slice(14, 19)]),
    )
  expect(at(running)).toEqual({
    Ready: '00:00',
    Reconciling: '00:00',
    Stalled: '00:00',
    Complete: '00:00',
    Failed: '00:00',
  })
  const previous = runStatus(facts(running)).conditions
  expect(at({ ...ended(), previous })).toEqual({
    Ready: '00:02',
    Reconciling: '00:02',
    Stalled: '00:00',
    Complete: '00:02',
    Failed: '00:00',
  })
})

describe("a ShellAgent's status", () => {
  const agent = { now: T0 + 60_000, created: T0, generation: 2, cordoned: false, running: 0 }
  const registration = { session: 42, version: '0.1.0', startedAt: T0 + 5_000 }
  const ready = (over: object) => {
    const status = agentStatus({ ...agent, ...over })
    expect(agentStatusSchema.safeParse(status).error).toBeUndefined()
    const [condition] = status.conditions ?? []
    return `${condition?.status} ${condition?.reason} ${condition?.lastTransitionTime.slice(14, 19)}`
  }

  test('a registered agent is Ready, cordoned or not', () => {
    expect(ready({ registration })).toBe('True Connected 00:05')
    expect(ready({ registration, cordoned: true })).toBe('True Cordoned 00:05')
    expect(ready({})).toBe('False NotConnected 00:00')
  })

  test('a registered agent that claims nothing is not Ready', () => {
    const trouble = { reason: 'ClockSkewed', since: T0 + 9_000 }
    expect(ready({ registration: { ...registration, trouble } })).toBe('False ClockSkewed 00:09')
    const inherited = { ...registration, trouble: { ...trouble, reason: 'toString' } }
    expect(agentStatus({ ...agent, registration: inherited }).conditions?.[0]?.message).toMatch(
      /see the agent's log$/,
    )
    const unknown = { ...registration, trouble: { ...trouble, reason: 'OfALaterVersion' } }
    expect(ready({ registration: unknown, cordoned: true })).toBe('False OfALaterVersion 00:09')
  })

  test('the status has session and version while the agent is registered', () => {
    expect(agentStatus({ ...agent, registration, running: 3 })).toMatchObject({
      observedGeneration: 2,
      session: '42',
      version: '0.1.0',
      running: 3,
    })
    expect(agentStatus(agent)).not.toHaveProperty('session')
  })

  test('when the session ends, the transition time is now, not the creation', () => {
    const { conditions } = agentStatus({ ...agent, registration })
    expect(ready({ previous: conditions })).toBe('False NotConnected 01:00')
  })
})

test('the column of the targets names mode, agents and selector', () => {
  const selector = {
    matchLabels: { role: 'db' },
    matchExpressions: [{ key: 'gpu', operator: 'Exists', values: [] }],
  }
  const one = { mode: 'One', agents: [] } as const
  expect(targetText({ pool: 'default', placement: { ...one, agents: [] } })).toBe('One default')
  expect(targetText({ pool: 'db', placement: { mode: 'All', agents: ['a', 'b'], selector } })).toBe(
    'All db a,b role=db,gpu Exists',
  )
  expect(
    targetText({ pool: 'p', placement: { mode: 'Shards', shards: 8, agents: [] }, container: { selector } }),
  ).toBe('Shards(8) p role=db,gpu Exists (container)')
})
