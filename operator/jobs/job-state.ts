import type { Settlement, Times } from '../../core/fires/settlement.ts'
import type { JobEntry, Placement } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Historic } from '../compile/compile-job.ts'
import type { CellSeen, StoredIn } from '../etcd-mirrors.ts'

/** The input and output of a job's plan: the state of the job, and the steps that change it. */

/** A job entry as it should be, without the fields that its history decides. */
export type DesiredEntry = Omit<JobEntry, Historic>

export type Desired =
  /** The object does not exist or is being deleted, or the operator drains. `kill`: end its runs instead of waiting for them. */
  | { kind: 'gone'; kill: boolean }
  | { kind: 'entry'; entry: DesiredEntry }
  /** The schedule is invalid, so its times are unknown: a stored entry is suspended, and no new one is put. */
  | { kind: 'timeless'; uid: string; generation: number; blocked: { reason: string; message: string } }

export type StoredEntry = StoredIn<JobEntry>

export interface JobState {
  now: number
  desired: Desired
  /** Usually one: that of the job's pool. */
  stored: readonly StoredEntry[]
  /** Every cell of this name, in all pools. */
  cells: readonly CellSeen[]
  /** The members of a pool, alive or not, that a placement selects. */
  members(pool: string, placement: Placement): readonly string[]
  timesOf(entry: JobEntry): Times
  /** Times of this job were used that are ahead of the clock, by three looks in a row: see ../upkeep/clock-look.ts. */
  clockWasAhead?: boolean
  /** The id of an active run that a user wants to end. */
  kill?: string
}

/** Each step is one transaction. It compares the state that it was planned on, so that an outdated plan changes nothing. */
export type Step =
  | { do: 'put'; pool: string; mod: number; entry: JobEntry }
  /** Moves the job to another pool: puts the new entry, and deletes the old one and its cells, in one transaction. */
  | { do: 'move'; from: StoredEntry; entry: JobEntry }
  /** Deletes the entry and its cells. */
  | { do: 'remove'; stored: StoredEntry }
  | {
      do: 'settle'
      entry: Versioned<JobEntry>
      cell: CellSeen
      settle: readonly Settlement[]
    }
  /** Writes a cell of a target that begins or ends. */
  | { do: 'cell'; under: { key: string; mod: number }; cell: CellSeen; value: Cell }
  /** Deletes a cell that is no longer needed. */
  | { do: 'forget'; cell: CellSeen }
  /** Requests the end of a cell's active runs, or of one of them. Repeating it does nothing. */
  | { do: 'kill'; cell: CellSeen; reason: string; run?: string }

export interface Plan {
  steps: Step[]
  /**
   * What follows the steps. `again`: observe and plan again. `done`: the job is as it should be. `wait`: runs have to end; a change of
   * their cells continues it. `stale`: the cached object is older than the stored entry.
   */
  then: 'again' | 'done' | 'wait' | 'stale'
}
