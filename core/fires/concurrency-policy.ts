import { DEADLINE_EXCEEDED, type DueTimes } from './catch-up.ts'
import type { Decision, FireInput } from './decision.ts'
import { skipAllButNewest, skipWaiting } from './settlement.ts'
import { idleUntilDue } from './waiting.ts'

/**
 * concurrencyPolicy Forbid or Replace while a run is active: the newest due time waits, and older ones are skipped as Overlapped. Times
 * that catch-up has closed are skipped as Overlapped too, because the active run kept them from starting; a time past its deadline
 * stays Missed. undefined: Allow, or no run is active.
 */
export function waitForActiveRun(input: FireInput, { open, settle }: DueTimes): Decision | undefined {
  const { entry, times, cell } = input
  const isActive = (cell?.active.length ?? 0) > 0
  if (entry.concurrencyPolicy === 'Allow' || !isActive) return undefined
  const closed = settle.map(each =>
    each.reason === DEADLINE_EXCEEDED ? each : { ...each, outcome: 'Skipped' as const, reason: 'Overlapped' },
  )
  if (!open) return closed.length > 0 ? { kind: 'settle', settle: closed } : idleUntilDue(input)
  return {
    kind: 'wait',
    time: open.last,
    replace: entry.concurrencyPolicy === 'Replace',
    settle: [...skipWaiting(cell, 'Overlapped'), ...closed, ...skipAllButNewest(times, open, 'Overlapped')],
  }
}
