import type { Settlement } from '../../core/fires/settlement.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Versioned } from './versioned.ts'

/** The cell after its frontier moved over `settle` and `time`. If the waiting time is one of these, it no longer waits. */
export function moveFrontier(
  cell: Cell | undefined,
  by: { entry: Versioned<Entry>; time?: number; settle: readonly Settlement[] },
): Cell {
  const { time } = by
  const passed = by.settle.map(({ last }) => last)
  const waiting = cell?.waiting
  const over =
    waiting &&
    (waiting.time === time || by.settle.some(s => s.first <= waiting.time && waiting.time <= s.last))
  return {
    uid: by.entry.value.uid,
    lastFire: Math.max(cell?.lastFire ?? 0, time ?? 0, ...passed),
    active: [...(cell?.active ?? [])],
    ...(waiting && !over ? { waiting } : {}),
    ...(cell?.retired ? { retired: true } : {}),
    ...(by.entry.value.kind === 'run' ? { taken: true } : {}),
  }
}
