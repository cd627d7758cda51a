import type { Command } from '../records/entry.ts'
import type { Outcome } from '../records/state.ts'

/** How a process ended, as its launcher reports it. The first cause of an end wins. */
export type End =
  /** `oom`: the kernel killed a process of its tree because memory ran out. */
  | { kind: 'exited'; code: number; oom?: boolean; message?: string | undefined }
  | { kind: 'signaled'; signal: string; oom?: boolean }
  | { kind: 'timedOut' }
  | { kind: 'killed'; reason: string }
  | { kind: 'fenced' }
  | { kind: 'cancelled'; reason?: string | undefined }
  | { kind: 'startFailed'; reason: string; message?: string | undefined }
  /** Its container does not exist, or ended during the run. */
  | { kind: 'failed'; reason: string; message?: string | undefined }
  | { kind: 'lost'; reason?: string | undefined }
  /** It was claimed, but may no longer start. */
  | { kind: 'missed'; reason: string; message: string }

export interface Verdict {
  outcome: Exclude<Outcome, 'Skipped'>
  reason: string
  exitCode?: number
  signal?: string
  message?: string
}

/** As in Kubernetes. */
const OOM = 'OOMKilled'

/** The outcome and reason of an end, for this command. */
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
    case 'missed':
      return { outcome: 'Missed', reason: end.reason, message: end.message }
    default:
      return end satisfies never
  }
}

/** Appends to the message. */
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

/** A POSIX shell exits with 126 if a command is not executable, with 127 if it is not found. */
function exitReason(code: number): string {
  return code === 126 ? 'NotExecutable' : code === 127 ? 'CommandNotFound' : 'NonZeroExitCode'
}

const RETRIED: readonly Outcome[] = ['Failed', 'TimedOut', 'Lost']
const FIRST_BACKOFF = 10_000
const LONGEST_BACKOFF = 360_000

/** Whether another attempt follows attempt number `attempt`, from 1. Killed and Cancelled are never retried; others are, up to `backoffLimit` retries. */
export function retries(outcome: Outcome, attempt: number, backoffLimit: number): boolean {
  return RETRIED.includes(outcome) && attempt <= backoffLimit
}

/** The backoff after attempt number `attempt`, ms: 10 s, doubling up to 6 min, as for Kubernetes Jobs. */
export function backoffMs(attempt: number): number {
  return Math.min(FIRST_BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF)
}
