import type { JobEntry } from '../records/entry.ts'
import type { Cell } from '../records/state.ts'

/** How a job's times are recorded when they end without a process. Pure. */

/** The part of a timetable that decisions need: see core/timetable. */
export interface Times {
  next(after: number): number | undefined
  previous(before: number): number | undefined
  missed(after: number, upTo: number): { first: number; last: number; count: number } | undefined
}

/** Times that end without a process, recorded as one range. */
export interface Settlement {
  first: number
  last: number
  count: number
  outcome: 'Missed' | 'Skipped'
  reason: string
}

/** Where counting starts: an earlier time is settled already, or never belonged to this entry. */
export function frontierOf(entry: JobEntry, cell: Cell | undefined): number {
  return Math.max(cell?.lastFire ?? 0, entry.scheduleChangedAt)
}

/** Settles every time up to `upTo`, the waiting one included: the job was suspended, blocked, edited or deleted. */
export function settleUpTo(
  input: { entry: JobEntry; times: Times; cell: Cell | undefined },
  upTo: number,
  reason: string,
): Settlement[] {
  const { entry, times, cell } = input
  const due = times.missed(frontierOf(entry, cell), upTo)
  return [...skipWaiting(cell, reason), ...(due ? [{ ...due, outcome: 'Missed' as const, reason }] : [])]
}

/** Skips the waiting time, if there is one. */
export function skipWaiting(cell: Cell | undefined, reason: string): Settlement[] {
  const time = cell?.waiting?.time
  return time === undefined ? [] : [{ first: time, last: time, count: 1, outcome: 'Skipped', reason }]
}

/** Skips every time from `first` to `last`. Both are times of the timetable. */
export function skipRange(
  times: Times,
  { first, last }: { first: number; last: number },
  reason: string,
): Settlement[] {
  const count = first === last ? 1 : (times.missed(first - 1, last)?.count ?? 0)
  return count > 0 ? [{ first, last, count, outcome: 'Skipped', reason }] : []
}

/** Skips every time of the range except its newest. */
export function skipAllButNewest(
  times: Times,
  { first, last }: { first: number; last: number },
  reason: string,
): Settlement[] {
  const before = times.previous(last)
  return before !== undefined && before >= first ? skipRange(times, { first, last: before }, reason) : []
}
