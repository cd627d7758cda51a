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

/** Due times earlier than `before` are closed. */
function closing(input: FireInput, due: { last: number; count: number }): { before: number; reason: string } {
  const { entry, times, offset, now } = input
  const { startingDeadlineSeconds: deadline } = entry
  const byDeadline = deadline === undefined ? 0 : now - deadline * 1_000
  const fresh = now - offset - CATCH_UP_AFTER
  const byCatchUp = {
    None: () => fresh,
    Latest: () => Math.min(fresh, due.last),
    All: () => oldestWithin(times, due, entry.catchUpLimit),
  }[entry.catchUp]()
  return byDeadline >= byCatchUp
    ? { before: byDeadline, reason: DEADLINE_EXCEEDED }
    : { before: byCatchUp, reason: entry.catchUp === 'All' ? 'CatchUpLimit' : 'NotCaughtUp' }
}

/** The oldest of the newest `limit` due times. */
function oldestWithin(times: Times, due: { last: number; count: number }, limit: number): number {
  if (due.count <= limit) return 0
  let oldest = due.last
  for (let i = 1; i < limit; i++) oldest = times.previous(oldest) ?? oldest
  return limit > 0 ? oldest : due.last + 1
}
