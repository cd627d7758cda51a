import type { Outcome } from '../records/state.ts'

/** A finished fire of a job, or a finished ShellRun, summed up over all its targets. */
export interface FireSummary {
  /** The scheduled time, or a ShellRun's creation; ms since the epoch. */
  time: number
  /** The run id without its target. */
  id: string
  /** The most severe outcome of its targets; see `gravity`. */
  outcome: Outcome
  /** Start of its first attempt, ms since the epoch; absent if no process was started. */
  startedAt?: number
  /** End of its last target, ms since the epoch. */
  endedAt: number
  /** From here to `tail`: of one target that had this outcome. */
  exitCode?: number
  signal?: string
  reason?: string
  message?: string
  /** The last bytes of its output. */
  tail?: string
  /** Numbers of targets. `missed`: no process was started, because the time was missed or skipped. */
  targets: { succeeded: number; failed: number; missed: number }
  /** At most 10 of the targets that did not succeed; none in mode One. */
  failedTargets: string[]
  /** Several times that ended the same way without a process. `time` is the last of them. */
  range?: { first: number; count: number }
}

/** Facts about an object that do not depend on how many fires its history keeps. Times are ms since the epoch. */
export interface Milestones {
  /** The newest scheduled time that was claimed, not missed or skipped. */
  lastScheduled?: number
  /** When the newest fire that succeeded ended. */
  lastSuccessful?: number
  /** When the newest fire that failed (or was missed) ended. */
  lastFailure?: number
  /** The last bytes of that fire's output. */
  failureTail?: string
  /** The end of the first fire in the current streak: all fires since then, `other` ones aside, have the class of the newest one. */
  since?: number
}

/** What an outcome means for a job. `other`: it says nothing about the job's command. */
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

/** How severe an outcome is. A fire has the most severe outcome of its targets. */
export function gravity(outcome: Outcome): number {
  return GRAVITY[outcome]
}

export function classOf(outcome: Outcome): FireClass {
  const grave = GRAVITY[outcome]
  return grave > GRAVITY.Succeeded ? 'failed' : grave === GRAVITY.Succeeded ? 'succeeded' : 'other'
}

/** Whether no process was started: the target counts as `missed`, not as `failed`. */
export function hadNoProcess(outcome: Outcome): boolean {
  return outcome === 'Missed' || outcome === 'Skipped'
}
