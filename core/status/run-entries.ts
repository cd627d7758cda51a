import { ANYWHERE, clockEpochIn, scheduledRunId } from '../keys.ts'
import type { Active } from '../records/state.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { FinishedRun, JobStatus } from '../schema/status.ts'
import { classOf, type FireSummary } from './fire-summary.ts'
import { short } from './size-limit.ts'

/** The part of an attempt, active or pending, that a status needs. */
export type ActiveRun = Pick<Active, 'run' | 'time' | 'target' | 'notBefore' | 'attempt'>

export interface ActiveFire {
  /** The scheduled time, or a ShellRun's creation; ms since the epoch. */
  time: number
  /** Of a scheduled run, the clock epoch in its id; else 0. */
  clockEpoch: number
  /** Start of its earliest active attempt, ms since the epoch. In the future while a retry waits for its backoff. */
  startsAt: number
  /** The lowest number of its active attempts. */
  attempt: number
  targets: number
}

/** Groups attempts by fire, newest first. */
export function activeFires(actives: readonly ActiveRun[]): ActiveFire[] {
  const fires = new Map<string, ActiveFire>()
  for (const { run, time, notBefore, attempt } of actives) {
    const clockEpoch = clockEpochIn(run)
    const key = `${time}~${clockEpoch}`
    const fire = fires.get(key)
    if (!fire) fires.set(key, { time, clockEpoch, startsAt: notBefore, attempt, targets: 1 })
    else {
      fire.startsAt = Math.min(fire.startsAt, notBefore)
      fire.attempt = Math.min(fire.attempt, attempt)
      fire.targets++
    }
  }
  return [...fires.values()].sort(newestFirst)
}

/** The order of fires. Whatever its time says, a fire of an earlier clock epoch is older. */
function newestFirst(a: ActiveFire, b: ActiveFire): number {
  return b.clockEpoch - a.clockEpoch || b.time - a.time
}

export function activeEntry(
  fire: ActiveFire,
  of: { namespace: string; name: string },
): NonNullable<JobStatus['active']>[number] {
  return {
    id: scheduledRunId({ ...of, target: ANYWHERE }, fire.time, fire.clockEpoch),
    startTime: rfc3339(fire.startsAt),
    targets: fire.targets,
  }
}

export function finishedEntry(fire: FireSummary): FinishedRun {
  const { id, time, startedAt, endedAt, outcome, exitCode, reason, targets, failedTargets } = fire
  return {
    id,
    scheduledTime: rfc3339(time),
    ...(startedAt === undefined ? {} : { startTime: rfc3339(startedAt) }),
    completionTime: rfc3339(endedAt),
    outcome,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(reason ? { reason: short(reason, 256) } : {}),
    targets: { ...targets },
    ...(failedTargets.length > 0
      ? { failedTargets: failedTargets.slice(0, 10).map(target => short(target, 253)) }
      : {}),
  }
}

/** How a fire ended, in one sentence. */
export function describeFire(fire: FireSummary): string {
  const { outcome, message } = fire
  const parts = [fire.range ? rangeOf(fire, fire.range) : `${outcome}${where(fire)}`, detail(fire)]
  const said = parts.filter(part => part !== '').join(': ')
  return message ? `${said}: ${message}` : said
}

function rangeOf({ time, outcome }: FireSummary, { first, count }: { first: number; count: number }): string {
  return `${outcome} ${count} times from ${rfc3339(first)} to ${rfc3339(time)}`
}

function where({ outcome, targets, failedTargets }: FireSummary): string {
  const all = targets.succeeded + targets.failed + targets.missed
  if (all <= 1 || classOf(outcome) === 'other') return ''
  if (classOf(outcome) === 'succeeded') return ` on ${targets.succeeded} of ${all} targets`
  const named = failedTargets.slice(0, 3).join(', ')
  const more = targets.failed + targets.missed > 3 ? ', …' : ''
  return ` on ${targets.failed + targets.missed} of ${all} targets${named ? ` (${named}${more})` : ''}`
}

function detail({ outcome, exitCode, signal, reason }: FireSummary): string {
  if (outcome === 'Succeeded') return ''
  if (signal) return `killed by ${signal}`
  if (exitCode !== undefined) return `exit code ${exitCode}`
  return reason ?? ''
}
