import type { FireInput } from './decision.ts'
import { frontierOf, type Settlement, type Times } from './settlement.ts'

/**
 * Which due times may still run: startingDeadlineSeconds, catchUp and catchUpLimit. A time that may no longer run is closed, and is
 * recorded as Missed.
 */

/** A time that nobody has claimed for this long is a catch-up, and `catchUp` decides about it; ms. */
export const CATCH_UP_AFTER = 5_000

export const DEADLINE_EXCEEDED = 'DeadlineExceeded'

/** The due times, divided into those that may still run and those that are closed. */
export interface DueTimes {
  open: { first: number; last: number } | undefined
  /** The closed times. */
  settle: Settlement[]
}

export function dueTimes(input: FireInput): DueTimes {
  const { entry, times, offset, cell, now } = input
  const frontier = frontierOf(entry, cell)
  const due = times.missed(frontier, now - offset)
  if (!due) return { open: undefined, settle: [] }
  const { before, reason } = closing(input, due)
  const closed = times.missed(frontier, Math.min(before - 1, now - offset))
  const first = closed ? times.next(closed.last) : due.first
  return {
    open: first !== undefined && first <= due.last ? { first, last: due.last } : undefined,
    settle: closed ? [{ ...closed, outcome: 'Missed', reason }] : [],
  }
}

/**
 * Why a time that was claimed may no longer start, because something delayed its claim or its start; undefined: it may. A time that
 * waited in its cell is no catch-up: only its deadline counts.
 */
export function closedAfterClaim(
  input: Omit<FireInput, 'cell' | 'lead'>,
  { time, waited }: { time: number; waited: boolean },
): string | undefined {
  const { entry, times, offset, now } = input
  if (now - offset < time) return undefined
  const due = times.missed(time - 1, now - offset) ?? { last: time, count: 1 }
  const { before, reason } = waited ? closingByDeadline(entry, now) : closing(input, due)
  return time < before ? reason : undefined
}

function closingByDeadline(
  { startingDeadlineSeconds: deadline }: Pick<FireInput['entry'], 'startingDeadlineSeconds'>,
  now: number,
): { before: number; reason: string } {
  return { before: deadline === undefined ? 0 : now - deadline * 1_000, reason: DEADLINE_EXCEEDED }
}

/** Due times earlier than `before` are closed. */
function closing(
  { entry, times, offset, now }: Omit<FireInput, 'cell' | 'lead'>,
  due: { last: number; count: number },
): { before: number; reason: string } {
  const byDeadline = closingByDeadline(entry, now)
  const fresh = now - offset - CATCH_UP_AFTER
  const byCatchUp = {
    None: () => fresh,
    Latest: () => Math.min(fresh, due.last),
    All: () => oldestWithin(times, due, entry.catchUpLimit),
  }[entry.catchUp]()
  return byDeadline.before >= byCatchUp
    ? byDeadline
    : { before: byCatchUp, reason: entry.catchUp === 'All' ? 'CatchUpLimit' : 'NotCaughtUp' }
}

/** The oldest of the newest `limit` due times. */
function oldestWithin(times: Times, due: { last: number; count: number }, limit: number): number {
  if (due.count <= limit) return 0
  let oldest = due.last
  for (let i = 1; i < limit; i++) oldest = times.previous(oldest) ?? oldest
  return limit > 0 ? oldest : due.last + 1
}
