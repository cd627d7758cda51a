import { type DueTimes, dueTimes } from './catch-up.ts'
import { waitForActiveRun } from './concurrency-policy.ts'
import type { Decision, FireInput } from './decision.ts'
import { isAtRunLimit, skipAboveRunLimit } from './max-concurrent-runs.ts'
import { waitForSlot } from './max-parallel.ts'
import { frontierOf } from './settlement.ts'
import { claimWaiting, settleExpiredWaiting } from './waiting.ts'

/**
 * Decides what to do about a job's times on one target now. Pure: agents and the operator call the same function.
 *
 *      frontier          now - offset          now - offset + lead
 *   ───────┼──── T1 ── T2 ──────┼──── T3 ─────────────┼────────▶
 *   settled     due: the first open time is claimed,     ahead: claimed now, started at its instant
 *               closed times before it are settled with it
 *
 * Times are settled in order. The transaction that moves the frontier over a time that did not run also records that time.
 */
export function decide(input: FireInput): Decision {
  return idleIfNotInForce(input) ?? settleExpiredWaiting(input) ?? decideDue(input, dueTimes(input))
}

/** The first rule that applies decides. */
function decideDue(input: FireInput, due: DueTimes): Decision {
  return (
    waitForActiveRun(input, due) ??
    waitForSlot(input, due) ??
    skipAboveRunLimit(input, due) ??
    claimWaiting(input) ??
    claimFirstOpen(due) ??
    settleClosed(due) ??
    claimAhead(input)
  )
}

function idleIfNotInForce({ entry }: FireInput): Decision | undefined {
  return entry.suspended || entry.blocked ? { kind: 'idle', at: undefined } : undefined
}

function claimFirstOpen({ open, settle }: DueTimes): Decision | undefined {
  return open && { kind: 'claim', time: open.first, settle }
}

function settleClosed({ settle }: DueTimes): Decision | undefined {
  return settle.length > 0 ? { kind: 'settle', settle } : undefined
}

/** Nothing is due: claims the next time once its lead begins. At the run limit it waits for the instant, as a run may end before. */
function claimAhead(input: FireInput): Decision {
  const { entry, times, offset, cell, now, lead } = input
  const time = times.next(frontierOf(entry, cell))
  if (time === undefined) return { kind: 'idle', at: undefined }
  const from = time + offset - (isAtRunLimit(input) ? 0 : lead)
  return now >= from ? { kind: 'claim', time, settle: [] } : { kind: 'idle', at: from }
}
