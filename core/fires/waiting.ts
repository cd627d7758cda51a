import type { JobEntry } from '../records/entry.ts'
import type { Cell } from '../records/state.ts'
import { DEADLINE_EXCEEDED } from './catch-up.ts'
import type { Decision, FireInput } from './decision.ts'
import { frontierOf } from './settlement.ts'

/** The time that waits in a cell, for an active run to end or for a slot of its wave: until when it waits, and how that ends. */

/** The last moment at which the waiting time may start; undefined: it has no deadline, or nothing waits. */
export function waitsUntil(
  { startingDeadlineSeconds }: Pick<JobEntry, 'startingDeadlineSeconds'>,
  cell: Cell | undefined,
): number | undefined {
  return cell?.waiting && startingDeadlineSeconds !== undefined
    ? cell.waiting.time + startingDeadlineSeconds * 1_000
    : undefined
}

/** Past its deadline: Missed if it waited for a slot, Skipped if it waited for an active run, even if that run is still active. */
export function settleExpiredWaiting({ entry, cell, now }: FireInput): Decision | undefined {
  const expires = waitsUntil(entry, cell)
  if (!cell?.waiting || expires === undefined || now <= expires) return undefined
  const { time, wave } = cell.waiting
  const outcome = wave ? 'Missed' : 'Skipped'
  return {
    kind: 'settle',
    settle: [{ first: time, last: time, count: 1, outcome, reason: DEADLINE_EXCEEDED }],
  }
}

/** Nothing holds it back any more. */
export function claimWaiting({ cell }: FireInput): Decision | undefined {
  return cell?.waiting && { kind: 'claim', time: cell.waiting.time, settle: [] }
}

/** Until the next time is due, or until the waiting one passes its deadline. */
export function idleUntilDue({ entry, times, offset, cell, now }: FireInput): Decision {
  const next = times.next(Math.max(frontierOf(entry, cell), now - offset))
  const expires = waitsUntil(entry, cell)
  const looks = [
    expires === undefined ? undefined : expires + 1,
    next === undefined ? undefined : next + offset,
  ].filter(at => at !== undefined)
  return { kind: 'idle', at: looks.length > 0 ? Math.min(...looks) : undefined }
}
