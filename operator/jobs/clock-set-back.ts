import { CLOCK_SET_BACK, latestUsed } from '../../core/fires/clock-epoch.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import { guards } from '../model-guards.ts'
import { cellsIn, isShared } from './job-cells.ts'
import type { JobState, Step } from './job-state.ts'

/**
 * The edit that begins a new clock epoch (core/fires/clock-epoch.ts), as part of a job's plan. Pure.
 *
 *   times used that are ahead ─▶ suspended, editing {at, clock} ─▶ waiting times Skipped ─▶ frontiers back to `at` ─▶ new entry, epoch + 1
 */

/** The entry that begins the edit; undefined: there is no need, or it has begun. */
export function beginClockEpoch(
  state: JobState,
  stored: Versioned<JobEntry> & { pool: string },
): JobEntry | undefined {
  if (!state.clockWasAhead || !guards.setsClockBack()) return undefined
  const entry = stored.value
  const { editing } = entry
  const until = Math.max(
    entry.scheduleChangedAt,
    editing?.at ?? 0,
    ...cellsOfTargets(state, stored.pool).map(({ value }) => value?.lastFire ?? 0),
  )
  const limit = latestUsed(state.now)
  if (until <= limit || (editing?.clock && editing.at <= limit)) return undefined
  // A suspended job has no times to settle, unless the edit that suspended it has not settled them yet.
  const isSettled = entry.suspended && editing?.settle === undefined
  return {
    ...entry,
    suspended: true,
    editing: {
      at: state.now,
      ...(isSettled ? {} : { settle: CLOCK_SET_BACK }),
      clock: { epoch: entry.clockEpoch + 1, until },
    },
  }
}

/** Sets the frontiers that are ahead back to the instant of the edit. Their times are settled before; runs that are active stay. */
export function setFrontiersBack(state: JobState, stored: Versioned<JobEntry> & { pool: string }): Step[] {
  const { editing } = stored.value
  if (!editing?.clock) return []
  const { at } = editing
  return cellsOfTargets(state, stored.pool).flatMap((cell): Step[] =>
    cell.value && cell.value.lastFire > latestUsed(at)
      ? [{ do: 'cell', under: stored, cell, value: { ...cell.value, lastFire: at } }]
      : [],
  )
}

/** The entry that follows an edit, in the clock epoch that the edit begins. */
export function inClockEpochOf<T extends Pick<JobEntry, 'clockEpoch' | 'clockSetBack'>>(
  { editing }: JobEntry,
  want: T,
): T {
  if (!editing?.clock) return want
  const { epoch, until } = editing.clock
  return { ...want, clockEpoch: epoch, clockSetBack: { at: editing.at, until } }
}

/** Of former targets too: the next targets count from them. */
function cellsOfTargets(state: JobState, pool: string) {
  return cellsIn(state, pool).filter(cell => !isShared(cell))
}
