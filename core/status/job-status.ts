import { rfc3339, rfc3339Seconds } from '../rfc3339.ts'
import type { JobStatus } from '../schema/status.ts'
import { blockedConditions, type CompileStanding } from './blocked-conditions.ts'
import { classOf, type FireSummary, type Milestones } from './fire-summary.ts'
import { type ActiveRun, activeEntry, activeFires, finishedEntry, sentenceOn } from './run-entries.ts'
import { firstLine, fitting, short, tail } from './size-limit.ts'
import { type ConditionFact, conditionsOf, type PreviousCondition } from './transition-times.ts'

const MOST_ACTIVE = 10
const MOST_RUNS = 40
const MOST_NEXT = 5
const LONGEST_COMMAND = 80
const LONGEST_SCHEDULE = 512
const LONGEST_TAIL = 1_024

/** All that a ShellCronJob's status is made of. Times are ms since the epoch. */
export interface JobFacts {
  namespace: string
  name: string
  now: number
  /** Of the object. */
  created: number
  generation: number
  schedules: readonly string[]
  script: string
  /** See `targetText`; undefined: it cannot be known, as the spec makes no sense. */
  target?: string | undefined
  /** `by`: who set the annotation `shellcron.dev/paused`; '' if the spec says so. */
  suspended?: { by: string } | undefined
  standing: CompileStanding
  limits: { succeeded: number; failed: number }
  /** Of the job itself, not of ShellRuns that refer to it. */
  active: readonly ActiveRun[]
  /** From the log store, by `firesNeeded`. */
  fires: readonly FireSummary[]
  milestones: Milestones
  nextTimes: readonly number[]
  targets?: { matched: number; ready: number } | undefined
  /** What was said last, if that is known. */
  previous?: readonly PreviousCondition[] | undefined
}

/** How many fires to ask the log store for: what still runs elsewhere is left out again, and the last verdict is needed in any case. */
export function firesNeeded(
  limits: { succeeded: number; failed: number },
  active: readonly ActiveRun[],
): { succeeded: number; failed: number } {
  const open = activeFires(active).length
  return { succeeded: Math.max(limits.succeeded, 1) + open, failed: Math.max(limits.failed, 1) + open }
}

export function jobStatus(facts: JobFacts): JobStatus {
  const { namespace, name, now, generation, previous, milestones, active } = facts
  const running = activeFires(active)
  const finished = facts.fires.filter(({ time }) => !running.some(fire => fire.time === time))
  const statements = [...standingStatements(facts), lastRun(facts, finished)]
  const next = facts.suspended || facts.standing.blocked ? [] : facts.nextTimes.slice(0, MOST_NEXT)
  const lastScheduled = Math.max(milestones.lastScheduled ?? -Infinity, running[0]?.time ?? -Infinity)
  return fitting({
    observedGeneration: generation,
    schedule: short(facts.schedules.join(', '), LONGEST_SCHEDULE),
    conditions: conditionsOf(statements, { generation, now, previous }),
    active: running.slice(0, MOST_ACTIVE).map(fire => activeEntry(fire, { namespace, name })),
    activeCount: running.length,
    ...(finished[0] ? { lastResult: finished[0].outcome } : {}),
    ...(facts.target === undefined ? {} : { target: facts.target }),
    command: firstLine(facts.script, LONGEST_COMMAND),
    ...timeOf('lastScheduleTime', lastScheduled),
    ...timeOf('lastSuccessfulTime', milestones.lastSuccessful),
    ...timeOf('lastFailureTime', milestones.lastFailure),
    ...(next[0] === undefined ? {} : { nextScheduleTime: rfc3339(next[0]) }),
    ...(next.length > 0 ? { nextScheduleTimes: next.map(rfc3339) } : {}),
    ...(facts.targets ? { targets: facts.targets } : {}),
    runs: kept(finished, facts.limits).map(finishedEntry),
    ...(milestones.failureTail ? { outputTail: tail(milestones.failureTail, LONGEST_TAIL) } : {}),
  })
}

function timeOf<K extends string>(key: K, ms: number | undefined): { [P in K]?: string } {
  return ms === undefined || ms === -Infinity ? {} : ({ [key]: rfc3339Seconds(ms) } as { [P in K]?: string })
}

function standingStatements(facts: JobFacts): ConditionFact[] {
  const { standing, suspended, created: since } = facts
  if (standing.blocked) return blockedConditions(standing.blocked, standing)
  const [reason, message] = suspended
    ? ['Suspended', suspended.by ? `suspended by ${suspended.by}` : 'suspended by spec.suspend']
    : ['Compiled', 'in force']
  return [
    { type: 'Ready', status: 'True', reason, message, since },
    { type: 'Reconciling', status: 'False', reason, message: '', since },
    { type: 'Stalled', status: 'False', reason, message: '', since },
  ]
}

/** What was skipped or cancelled says nothing about the command. */
function lastRun(facts: JobFacts, finished: readonly FireSummary[]): ConditionFact {
  const { created, fires, milestones } = facts
  const isJudged = ({ outcome }: FireSummary) => classOf(outcome) !== 'other'
  const last = finished.find(isJudged)
  const type = 'LastRunSucceeded'
  if (!last)
    return {
      type,
      status: 'Unknown',
      reason: 'NoRunYet',
      message: 'no run has ended yet',
      since: created,
    }
  const verdict = classOf(last.outcome)
  // The store's streak is that of its newest fire, which may still run on other targets.
  const newest = fires.find(isJudged)
  const since = newest && classOf(newest.outcome) === verdict ? milestones.since : undefined
  return {
    type,
    status: verdict === 'succeeded' ? 'True' : 'False',
    reason: last.outcome,
    message: `${last.id} ${sentenceOn(last)}`,
    since: since ?? last.endedAt,
  }
}

/** By the history limits; and of what was skipped or cancelled whatever the log store gave. */
function kept(finished: readonly FireSummary[], limits: JobFacts['limits']): FireSummary[] {
  const left = { ...limits, other: 1 }
  return finished.filter(({ outcome }) => left[classOf(outcome)]-- > 0).slice(0, MOST_RUNS)
}
