import type { Settlement, Times } from '../../core/fires/decide.ts'
import type { JobEntry, Placement } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { CellSeen, StoredIn } from '../etcd-mirrors.ts'

/** What is known of one job, and what can be done about it: the input and output of the plan. */

/** A job entry as it should stand, but for what only its history says. */
export type DesiredEntry = Omit<JobEntry, 'scheduleChangedAt' | 'editing'>

export type Desired =
  /** There is no such object, it is being deleted, or everything is. `kill`: its runs are ended, not waited for. */
  | { kind: 'gone'; kill: boolean }
  | { kind: 'entry'; entry: DesiredEntry }
  /** Its times cannot be known: what stands is suspended; nothing new is put. */
  | { kind: 'timeless'; uid: string; generation: number; blocked: { reason: string; message: string } }

export type StoredEntry = StoredIn<JobEntry>

export interface JobWorld {
  now: number
  desired: Desired
  /** Usually one, of the job's pool. */
  stored: readonly StoredEntry[]
  /** Every cell of this name, in all pools. */
  cells: readonly CellSeen[]
  /** The members of a pool, alive or not, that a placement selects. */
  members(pool: string, placement: Placement): readonly string[]
  timesOf(entry: JobEntry): Times
  /** An active run that somebody wants ended. */
  kill?: string
}

/** Each is one transaction that compares what it was planned on, so that an old plan does nothing. */
export type Step =
  | { do: 'put'; pool: string; mod: number; entry: JobEntry }
  /** To another pool: the new entry, the old one and its cells gone, at once. */
  | { do: 'move'; from: StoredEntry; entry: JobEntry }
  /** The entry and its cells. */
  | { do: 'remove'; stored: StoredEntry }
  | {
      do: 'settle'
      entry: Versioned<JobEntry>
      cell: CellSeen
      settle: readonly Settlement[]
    }
  /** Writes a cell that has no run: one begins or ceases to be a target. */
  | { do: 'cell'; under: { key: string; mod: number }; cell: CellSeen; value: Cell }
  /** Deletes a cell that nobody needs any more. */
  | { do: 'forget'; cell: CellSeen }
  /** Marks the active runs of a cell (or one of them) to be ended. Repeating it does nothing. */
  | { do: 'kill'; cell: CellSeen; reason: string; run?: string }

export interface Plan {
  steps: Step[]
  /**
   * `again`: after the steps, look anew. `done`: it is as it should be. `wait`: for runs to end, whose cells will tell.
   * `stale`: the object that we see is older than what was put for it.
   */
  then: 'again' | 'done' | 'wait' | 'stale'
}
