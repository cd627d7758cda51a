import type { Outcome } from '../records/state.ts'

/** A finished fire of a job, or a ShellRun, over all its targets. */
export interface FireSummary {
  /** The scheduled time, or a ShellRun's creation; ms since the epoch. */
  time: number
  /** The run id without its target. */
  id: string
  /** The gravest of its targets' outcomes; see `gravity`. */
  outcome: Outcome
  /** Of its first attempt; a time that ended without a process has none. ms since the epoch. */
  startedAt?: number
  /** Of its last target. ms since the epoch. */
  endedAt: number
  /** Of one target that had this outcome. */
  exitCode?: number
  signal?: string
  reason?: string
  message?: string
  /** The last bytes of that target's output. */
  tail?: string
  /** How many targets; `failed` had a process (or were to have one), `missed` none. */
  targets: { succeeded: number; failed: number; missed: number }
  /** At most 10 of those that made it a failure; none in mode One. */
  failedTargets: string[]
  /** Several times that ended alike without a process: `time` is the last of them. */
  range?: { first: number; count: number }
}

/** What stays known of an object however few fires its history keeps. All ms since the epoch. */
export interface Milestones {
  /** The newest scheduled time that was taken, not missed or skipped. */
  lastScheduled?: number
  /** When the newest fire that succeeded ended. */
  lastSuccessful?: number
  /** When the newest fire that failed (or was missed) ended. */
  lastFailure?: number
  /** The last bytes of that one's output. */
  failureTail?: string
  /** Since when the fires that succeeded or failed have had the same verdict as the newest one: the end of the first of them. */
  since?: number
}

/** What an outcome means for a job: those of `other` say nothing about its command. */
export type FireClass = 'succeeded' | 'failed' | 'other'

const GRAVITY: Readonly<Record<Outcome, number>> = {
  Skipped: 0,
  Cancelled: 1,
  Succeeded: 2,
  Missed: 3,
  Killed: 4,
  Lost: 5,
  TimedOut: 6,
  Failed: 7,
}

/** Of the outcomes of a fire's targets the one of the highest gravity is the fire's. */
export function gravity(outcome: Outcome): number {
  return GRAVITY[outcome]
}

export function classOf(outcome: Outcome): FireClass {
  const grave = GRAVITY[outcome]
  return grave > GRAVITY.Succeeded ? 'failed' : grave === GRAVITY.Succeeded ? 'succeeded' : 'other'
}

/** Ended without a process: counted as `missed`, not as `failed`. */
export function hadNoProcess(outcome: Outcome): boolean {
  return outcome === 'Missed' || outcome === 'Skipped'
}
