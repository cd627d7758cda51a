import { clockWasAhead, latestUsed } from '../fires/clock-epoch.ts'
import { clockEpochIn } from '../keys.ts'
import { rfc3339, rfc3339Seconds } from '../rfc3339.ts'
import type { JobStatus } from '../schema/status.ts'
import { blockedConditions, type CompileState } from './blocked-conditions.ts'
import { classOf, type FireSummary, type Milestones } from './fire-summary.ts'
import { NO_AGENT_MATCHES } from './no-agent-matches.ts'
import { type ActiveRun, activeEntry, activeFires, describeFire, finishedEntry } from './run-entries.ts'
import { firstLine, short, tail, withFittingRuns } from './size-limit.ts'
import { conditionsOf, type NewCondition, type PreviousCondition } from './transition-times.ts'

const MOST_ACTIVE = 10
const MOST_RUNS = 40
const MOST_NEXT = 5
const LONGEST_COMMAND = 80
const LONGEST_SCHEDULE = 512
const LONGEST_TAIL = 1_024

/** The facts behind a ShellCronJob's status. Times are ms since the epoch. */
export interface JobFacts {
  namespace: string
  name: string
  now: number
  /** Creation of the object. */
  created: number
  generation: number
  schedules: readonly string[]
  script: string
  /** See `targetText`; undefined: the spec is invalid. */
  target?: string | undefined
  /** `by`: the user in the annotation `shellcron.dev/paused`; '' if suspended by the spec. */
  suspended?: { by: string } | undefined
  compileState: CompileState
  limits: { succeeded: number; failed: number }
  /** The job's own runs, without those of ShellRuns that refer to it. */
  active: readonly ActiveRun[]
  /** From the log store, by `firesNeeded`. */
  fires: readonly FireSummary[]
  milestones: Milestones
  nextTimes: readonly number[]
  /** When the job's present clock epoch began, and the time up to which the clock had been before; see core/fires/clock-epoch.ts. */
  clockSetBack?: { at: number; until: number } | undefined
  /** Agents that the target selects, and how many of them are alive. */
  targets?: { matched: number; ready: number } | undefined
  /** Why no agent matches the target. undefined: one does. */
  unmatched?: string | undefined
  /** The conditions that were written last, if they are known. */
  previous?: readonly PreviousCondition[] | undefined
}

/**
 * How many fires to read from the log store: fires that are still active on other targets will be left out, and at least one is needed
 * for LastRunSucceeded.
 */
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
  const isRunning = ({ time, id }: FireSummary) =>
    running.some(fire => fire.time === time && fire.clockEpoch === clockEpochIn(id))
  const finished = facts.fires.filter(fire => !isRunning(fire))
  const statements = [...compileConditions(facts), ...hasTargets(facts), lastRun(facts, finished)]
  const next = facts.suspended || facts.compileState.blocked ? [] : facts.nextTimes.slice(0, MOST_NEXT)
  // A run that was claimed under a clock that was ahead may still be active.
  const newest = running.find(({ time }) => time <= latestUsed(now))
  const lastScheduled = Math.max(milestones.lastScheduled ?? -Infinity, newest?.time ?? -Infinity)
  return withFittingRuns({
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
    ...(facts.targets ? { targets: withSummary(facts.targets) } : {}),
    runs: kept(finished, facts.limits).map(finishedEntry),
    ...(milestones.failureTail ? { outputTail: tail(milestones.failureTail, LONGEST_TAIL) } : {}),
  })
}

function timeOf<K extends string>(key: K, ms: number | undefined): { [P in K]?: string } {
  return ms === undefined || ms === -Infinity ? {} : ({ [key]: rfc3339Seconds(ms) } as { [P in K]?: string })
}

function compileConditions(facts: JobFacts): NewCondition[] {
  const { compileState, suspended, created: since } = facts
  if (compileState.blocked) return blockedConditions(compileState.blocked, compileState)
  const [reason, message] = suspended
    ? ['Suspended', suspended.by ? `suspended by ${suspended.by}` : 'suspended by spec.suspend']
    : ['Compiled', 'compiled and scheduled']
  const told = [message, ...clockNote(facts)].join('; ')
  return [
    { type: 'Ready', status: 'True', reason, message: told, since },
    { type: 'Reconciling', status: 'False', reason, message: '', since },
    { type: 'Stalled', status: 'False', reason, message: '', since },
  ]
}

const DAY_MS = 86_400_000

/** What happened to the times of a job under a clock that was ahead: for a day, or until those times have passed. */
function clockNote({ clockSetBack, now }: JobFacts): string[] {
  if (!clockSetBack || now > Math.max(clockSetBack.until, clockSetBack.at + DAY_MS)) return []
  return [clockWasAhead(clockSetBack)]
}

/** HasTargets. Ready stays True: an agent that joins later runs the job. */
function hasTargets({ targets, unmatched, created, now, previous }: JobFacts): NewCondition[] {
  const type = 'HasTargets'
  if (!targets) return []
  // No fact tells since when, unless it has always been so.
  const since = previous?.some(one => one.type === type) ? now : created
  if (unmatched !== undefined)
    return [{ type, status: 'False', reason: NO_AGENT_MATCHES, message: unmatched, since }]
  return [{ type, status: 'True', reason: 'AgentsMatch', message: '', since }]
}

function withSummary({ matched, ready }: NonNullable<JobFacts['targets']>): JobStatus['targets'] {
  return { matched, ready, summary: `${ready}/${matched}` }
}

/** LastRunSucceeded. A skipped or cancelled fire does not count, because it says nothing about the command. */
function lastRun(facts: JobFacts, finished: readonly FireSummary[]): NewCondition {
  const { created, fires, milestones } = facts
  const isJudged = ({ outcome }: FireSummary) => classOf(outcome) !== 'other'
  const last = finished.find(isJudged)
  const type = 'LastRunSucceeded'
  if (!last)
    return {
      type,
      status: 'Unknown',
      reason: 'NoRunYet',
      message: 'no run has finished yet',
      since: created,
    }
  const verdict = classOf(last.outcome)
  // The store's streak ends with its newest fire, which may still be active on other targets.
  const newest = fires.find(isJudged)
  const since = newest && classOf(newest.outcome) === verdict ? milestones.since : undefined
  return {
    type,
    status: verdict === 'succeeded' ? 'True' : 'False',
    reason: last.outcome,
    message: `${last.id} ${describeFire(last)}`,
    since: since ?? last.endedAt,
  }
}

/** The fires that the history limits keep, and at most one that was skipped or cancelled. */
function kept(finished: readonly FireSummary[], limits: JobFacts['limits']): FireSummary[] {
  const left = { ...limits, other: 1 }
  return finished.filter(({ outcome }) => left[classOf(outcome)]-- > 0).slice(0, MOST_RUNS)
}
