import type { CellRef } from '../keys.ts'
import type { Active } from '../records/state.ts'
import { waveOf } from './wave.ts'

/** The cells that count an attempt as active: claiming adds it to them, and ending it removes it from them. */

/** The target cells that count an attempt: its own, and for a ShellRun with jobRef also the job's. */
export function targetCellsOf(pool: string, active: Active): CellRef[] {
  const { kind, namespace, name, target, jobName } = active
  return [
    { pool, kind, namespace, name, target },
    ...(jobName ? [{ pool, kind: 'job' as const, namespace, name: jobName, target }] : []),
  ]
}

/** Every cell that counts an attempt, its wave's included. */
export function cellsOf(pool: string, active: Active): CellRef[] {
  return [...targetCellsOf(pool, active), ...(active.wave ? [waveOf(pool, active)] : [])]
}
