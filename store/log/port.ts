import type { CellKind } from '../../core/keys.ts'
import type { Outcome, Result } from '../../core/records/state.ts'
import type { FireSummary, Milestones } from '../../core/status/fires.ts'

/** A result with the pool under which it lay in the outbox. */
export type StoredResult = Result & { pool: string }

/** A ShellCronJob or ShellRun, in one life. */
interface LoggedObject {
  kind: CellKind
  uid: string
}

/** All conditions hold together; times are scheduled times, ms since the epoch. */
export interface HistoryQuery {
  uid?: string
  namespace?: string
  name?: string
  kind?: CellKind
  agent?: string
  outcome?: Outcome
  /** Not before. */
  from?: number
  /** Before. */
  to?: number
  /** Rows of a page, 1 to 1000. */
  limit: number
  /** Of the page before. */
  cursor?: string
}

/**
 * Every outcome, for as long as retention keeps it. Rows are unique by (uid, run, attempt): storing one twice is storing it once, and the
 * first one stays. Faults: `Unavailable` when the store does not answer or cannot write; `InvalidInput` for a query's field.
 */
export interface LogStore {
  /** In one transaction, on disk when it resolves. */
  record(results: readonly StoredResult[]): Promise<void>
  /**
   * Fires of which a target has its final outcome, newest first: at most so many that succeeded and that failed, and the newest of those
   * that were skipped or cancelled. A fire that still runs on other targets may be among them.
   */
  recent(object: LoggedObject, limit: { succeeded: number; failed: number }): Promise<FireSummary[]>
  /** Independent of any limit; retention spares what they rest on. */
  milestones(object: LoggedObject): Promise<Milestones>
  /** Every attempt and every range, by scheduled time, newest first. `cursor`: there may be more. */
  history(query: HistoryQuery): Promise<{ rows: StoredResult[]; cursor?: string }>
  /** The highest beacon ever seen, 0 at first: a lower one in etcd means that it was restored from a snapshot. */
  beacon(): Promise<number>
  /** Keeps the higher one. */
  raiseBeacon(n: number): Promise<void>
  close(): Promise<void>
}
