import type { Command } from '../records/entry.ts'
import type { Outcome } from '../records/state.ts'

/** How a process ended, as a launcher tells it; the first cause of an end wins. */
export type End =
  /** `oom`: a process of its tree was killed for want of memory. */
  | { kind: 'exited'; code: number; oom?: boolean; message?: string | undefined }
  | { kind: 'signaled'; signal: string; oom?: boolean }
  | { kind: 'timedOut' }
  | { kind: 'killed'; reason: string }
  | { kind: 'fenced' }
  | { kind: 'cancelled'; reason?: string | undefined }
  | { kind: 'startFailed'; reason: string; message?: string | undefined }
  /** By what it ran in: a container that is not there, or went while it ran. */
  | { kind: 'failed'; reason: string; message?: string | undefined }
  | { kind: 'lost'; reason?: string | undefined }

export interface Verdict {
  outcome: Exclude<Outcome, 'Skipped' | 'Missed'>
  reason: string
  exitCode?: number
  signal?: string
  message?: string
}

/** Kubernetes' word for it. */
const OOM = 'OOMKilled'

/** What an end means for this command. */
export function verdictOf(end: End, command: Pick<Command, 'successExitCodes'>): Verdict {
  switch (end.kind) {
    case 'exited':
      return exitVerdict(end, command.successExitCodes)
    case 'signaled':
      return { outcome: 'Failed', reason: end.oom ? OOM : 'Signaled', signal: end.signal }
    case 'timedOut':
      return { outcome: 'TimedOut', reason: 'DeadlineExceeded' }
    case 'killed':
      return { outcome: 'Killed', reason: end.reason }
    case 'fenced':
      return { outcome: 'Lost', reason: 'Fenced' }
    case 'cancelled':
      return { outcome: 'Cancelled', reason: end.reason ?? 'Cancelled' }
    case 'startFailed':
    case 'failed':
      return { outcome: 'Failed', reason: end.reason, ...(end.message ? { message: end.message } : {}) }
    case 'lost':
      return { outcome: 'Lost', reason: end.reason ?? 'LauncherRestarted' }
    default:
      return end satisfies never
  }
}

/** Says that too, behind what it says already. */
export function withMessage(verdict: Verdict, more: string | undefined): Verdict {
  const message = [verdict.message, more].filter(each => each).join('; ')
  return { ...verdict, ...(message ? { message } : {}) }
}

function exitVerdict(end: Extract<End, { kind: 'exited' }>, successExitCodes: readonly number[]): Verdict {
  if (successExitCodes.includes(end.code)) {
    return withMessage({ outcome: 'Succeeded', reason: 'Completed', exitCode: end.code }, end.message)
  }
  return {
    outcome: 'Failed',
    reason: end.oom ? OOM : exitReason(end.code),
    exitCode: end.code,
    ...(end.message ? { message: end.message } : {}),
  }
}

/** 126 and 127 are POSIX shells' words for a command that is not executable, or not found. */
function exitReason(code: number): string {
  return code === 126 ? 'NotExecutable' : code === 127 ? 'CommandNotFound' : 'NonZeroExitCode'
}

const RETRIED: readonly Outcome[] = ['Failed', 'TimedOut', 'Lost']
const FIRST_BACKOFF = 10_000
const LONGEST_BACKOFF = 360_000

/** Does another attempt follow attempt `attempt` (from 1)? Killed and Cancelled never; others until `backoffLimit` retries were made. */
export function retries(outcome: Outcome, attempt: number, backoffLimit: number): boolean {
  return RETRIED.includes(outcome) && attempt <= backoffLimit
}

/** Pause before the attempt after `attempt`, ms: 10 s, doubling up to 6 min, as Kubernetes Jobs. */
export function backoffMs(attempt: number): number {
  return Math.min(FIRST_BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF)
}
