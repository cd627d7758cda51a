import type { Settlement } from '../../core/fires/settlement.ts'
import type { CellRef, Keys } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import { moveFrontier } from './move-frontier.ts'
import { putSettlements } from './outbox.ts'
import type { MaybeAbsent, Versioned } from './versioned.ts'

/**
 * Moves the frontier over times without running them, in one transaction. The operator's sweep of unclaimed times is the same transaction.
 *
 *   entry unchanged ∧ cell unchanged (∧ an agent settles: its registration is of this session)
 *     → put the cell, put a result for each range
 *   else read the cell
 */
export interface Settling {
  keys: Keys
  ref: CellRef
  entry: Versioned<Entry>
  cell: MaybeAbsent<Cell>
  settle: readonly Settlement[]
  now: number
  /** The agent that settles. The operator has no session. */
  agent?: { name: string; session: number }
  /** A time that must wait, for concurrency Forbid or for a free slot of its wave. It becomes the cell's waiting time. */
  wait?: { time: number; wave?: boolean }
}

export function settle(s: Settling): { txn: Txn; cell: Cell } {
  const { keys, ref, entry, agent } = s
  const moved = moveFrontier(s.cell.value, { entry, settle: s.settle })
  const cell = s.wait ? waiting(moved, { ...s.wait, by: agent?.name ?? '' }) : moved
  return {
    cell,
    txn: {
      compare: [
        ...guards.entryUnchanged(entry.key, entry.mod),
        ...guards.cellUnchanged(s.cell.key, s.cell.mod),
        ...(agent ? guards.sessionLives(keys.agent(ref.pool, agent.name), agent.session) : []),
      ],
      then: [
        { put: s.cell.key, value: JSON.stringify(cell) },
        ...putSettlements(keys, ref, entry.value, guards.recordPassedOver(s.settle), s.now),
      ],
      else: [{ get: s.cell.key }],
    },
  }
}

/** The cell with a waiting time. A ShellRun that waits is not taken yet. */
function waiting(cell: Cell, { time, by, wave }: { time: number; by: string; wave?: boolean }): Cell {
  const { taken: _, ...open } = cell
  const lastFire = Math.max(cell.lastFire, time)
  return { ...open, lastFire, waiting: { time, by, ...(wave ? { wave } : {}) } }
}
