import { rfc3339Seconds } from '../rfc3339.ts'

/**
 * A clock that was ahead leaves frontiers in the future when it is set right, and they hide the real times up to them. The operator then
 * begins a new *clock epoch* for the job: its times count from the present again, and its runs get other ids.
 *
 *   clock two days ahead ─▶ times of two days claimed or settled, frontier there ─▶ clock right ─▶ three looks ─▶ epoch + 1, frontier = now
 *
 * Pure. The edit is planned in operator/jobs/plan.ts.
 */

/**
 * How far ahead of the operator's clock a frontier may be, ms: a claim comes 500 ms before its time, in a burst 5 s more
 * (agent/schedule/burst.ts), and an agent's clock may be 2 s ahead (agent/health/readiness.ts).
 */
const MOST_AHEAD_MS = 7_500

/** The latest time that may have been claimed or settled by now. */
export function latestUsed(now: number): number {
  return now + MOST_AHEAD_MS
}

/** What happened, for a condition and an Event. */
export function clockWasAhead({ at, until }: { at: number; until: number }): string {
  const [since, last] = [at, until].map(rfc3339Seconds)
  return `the operator's clock was ahead until about ${since}: times up to ${last} were used under it, and count again since then`
}

/** Why attempts of an earlier clock epoch that have not started never start, and why its waiting times are Skipped. */
export const CLOCK_SET_BACK = 'ClockSetBack'
