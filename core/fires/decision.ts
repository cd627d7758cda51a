import type { JobEntry } from '../records/entry.ts'
import type { Cell } from '../records/state.ts'
import type { Settlement, Times } from './settlement.ts'

/** What a decision about one target's times is made from. */
export interface FireInput {
  entry: JobEntry
  times: Times
  /** Delay of every start, ms: the job's jitter. */
  offset: number
  /** undefined: the target has no cell yet. */
  cell: Cell | undefined
  now: number
  /** How long before its instant a time may be claimed, ms. */
  lead: number
  /** maxParallel: every slot of the wave is taken. */
  full?: boolean
}

export type Decision =
  /** Nothing now. Look again at `at`; undefined: when something changes. */
  | { kind: 'idle'; at: number | undefined }
  | { kind: 'claim'; time: number; settle: Settlement[] }
  /**
   * `time` goes into the cell as waiting: for the active run to end, or with `wave` for a slot of the wave. With `replace` the active
   * runs are ended for it.
   */
  | { kind: 'wait'; time: number; replace: boolean; wave?: true; settle: Settlement[] }
  | { kind: 'settle'; settle: Settlement[] }
