import type { DueTimes } from './catch-up.ts'
import type { Decision, FireInput } from './decision.ts'
import { skipAllButNewest, skipWaiting } from './settlement.ts'
import { idleUntilDue } from './waiting.ts'

/**
 * maxParallel while every slot of the wave is taken: a due time waits for a slot, and no longer counts as a catch-up.
 *
 * The newest due time waits, and older ones are skipped as WaveFull. With catchUp All the oldest waits, and the others stay open behind
 * it. A time that waited for its own active run waits for a slot once that run has ended. undefined: the wave has a free slot.
 */
export function waitForSlot(input: FireInput, { open, settle }: DueTimes): Decision | undefined {
  if (!input.full) return undefined
  const { entry, times, cell } = input
  const waiting = cell?.waiting
  const inTurn = entry.catchUp === 'All'
  const wait = { kind: 'wait', replace: false, wave: true } as const
  if (waiting && !waiting.wave && (inTurn || !open)) return { ...wait, time: waiting.time, settle }
  if (!open || (inTurn && waiting))
    return settle.length > 0 ? { kind: 'settle', settle } : idleUntilDue(input)
  if (inTurn) return { ...wait, time: open.first, settle }
  return {
    ...wait,
    time: open.last,
    settle: [...skipWaiting(cell, 'WaveFull'), ...settle, ...skipAllButNewest(times, open, 'WaveFull')],
  }
}
