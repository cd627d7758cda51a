import type { CellKind } from '../../core/keys.ts'
import type { Outcome, Result } from '../../core/records/state.ts'
import type { FireSummary, Milestones } from '../../core/status/fire-summary.ts'

/** A result, and the pool in whose outbox it was. */
export type StoredResult = Result & { pool: string }

/** A ShellCronJob or ShellRun with this uid. */
interface LoggedObject {
  kind: CellKind
  uid: string
}

/** All conditions must hold. Times are scheduled times, ms since the epoch. */
export interface HistoryQuery {
  uid?: string
  namespace?: string
  name?: string
  kind?: CellKind
  /** With `namespace`, `name` and kind `job`: also the results of the job's ShellRuns (jobRef). */
  withRuns?: boolean
  agent?: string
  outcome?: Outcome
  /**
   * A text in the last 16 MiB of an attempt's output, in its reason or in its message. The case of ASCII letters does not matter. 1 to 1000
   * characters. A page examines a limited number of rows: it may have fewer rows than its limit, or none, and still a cursor.
   */
  text?: string
  /** Inclusive. */
  from?: number
  /** Exclusive. */
  to?: number
  /** Rows of a page, 1 to 1000. */
  limit: number
  /** The `cursor` of the page before. */
  cursor?: string
}

/** Identifies an attempt. */
export interface AttemptRef {
  uid: string
  run: string
  attempt: number
}

/**
 * An attempt's output between two positions of its spool: whole chunks (core/output/chunks.ts), or none if it was lost. `lost`: how many
 * bytes of stdout and stderr were. `end`: no more output follows.
 */
export interface OutputPiece extends AttemptRef {
  namespace: string
  name: string
  pool: string
  agent: string
  offset: number
  next: number
  chunks: Uint8Array
  lost?: number
  end?: boolean
}

/** An attempt's output without its content. */
export interface OutputHead extends AttemptRef {
  namespace: string
  name: string
  agent: string
  /** Stored up to this position of the spool. */
  stored: number
  /**
   * Bytes of stdout and stderr. `bytes`: stored. `cut`: dropped by the launcher, beyond outputLimit or because the disk was full.
   * `lost`: lost before they reached the operator.
   */
  bytes: number
  cut: number
  lost: number
  ended: boolean
  /** Removed by retention. */
  expired?: boolean
}

/** The agent that ran an attempt. Its name is unique in its pool. */
export interface Runner {
  pool: string
  agent: string
}

/** The output of attempts. Its faults are LogStore's. */
export interface OutputStore {
  /**
   * Stores pieces in one transaction; they are on disk when it resolves. Resolves to the position up to which each piece's attempt is
   * stored now. Of a piece that overlaps stored output, only the rest is stored. A piece after a gap is not stored. A piece with
   * `next` = `offset` and `end` only marks the end.
   */
  storeOutput(pieces: readonly OutputPiece[]): Promise<number[]>
  /** The outputs of this run, or of every part of the fire with this id. Sorted by run and attempt. */
  outputs(of: { run: string; uid?: string }): Promise<OutputHead[]>
  /** Reads about `limit` bytes of whole chunks, at least one chunk. `from` must be the start of a chunk. `next`: where to continue. */
  output(
    of: AttemptRef,
    from: number,
    limit: number,
  ): Promise<{
    pieces: { offset: number; next: number; chunks: Uint8Array; lost?: number }[]
    next: number
    ended: boolean
  }>
}

/** The limits beyond which retention removes results and output. */
export interface RetentionLimits {
  /**
   * Results with an earlier scheduled time (ms since the epoch) are removed with their output, and so is output without a result of which no
   * piece arrived since. undefined: all are kept.
   */
  after?: number
  /** Output beyond this many stored bytes is removed, the oldest first. undefined: all is kept. */
  outputBytes?: number
  /** Whether the object still exists. If so its newest fires are kept, because its status is computed from them. */
  isLiving(uid: string): boolean
}

/**
 * Stores every outcome until retention removes it. Rows are unique by (uid, run, attempt): the first one stays, and storing it again changes
 * nothing. A fire is identified by its uid, time and clock epoch, which its runs' ids contain. Faults: `Unavailable` if the store does not answer or cannot write; `InvalidInput` for a field of a query.
 */
export interface LogStore extends OutputStore {
  /** Opens the store and migrates its schema. Rejects with `InvalidInput` if a newer version created it. Every call does this first. */
  ready(): Promise<void>
  /** Stores results in one transaction. They are on disk when it resolves. */
  record(results: readonly StoredResult[]): Promise<void>
  /**
   * The newest fires, newest first; a fire of an earlier clock epoch is older, whatever its time. At most `limit` that succeeded and that failed, and the newest one that was skipped or cancelled. At
   * least one target of each has its final outcome; other targets may still run.
   */
  recent(object: LoggedObject, limit: { succeeded: number; failed: number }): Promise<FireSummary[]>
  /**
   * Independent of any limit. Retention keeps the fires that they are computed from. Fires with a later time than `upTo` do not count: a
   * clock was ahead.
   */
  milestones(object: LoggedObject, upTo?: number): Promise<Milestones>
  /** Which agent ran each attempt, by its result. undefined: it has no result, or no agent ran it. */
  ranBy(attempts: readonly AttemptRef[]): Promise<(Runner | undefined)[]>
  /** Every attempt and every range, by scheduled time, newest first. `cursor`: there may be more rows. */
  history(query: HistoryQuery): Promise<{ rows: StoredResult[]; cursor?: string }>
  /**
   * Removes a part of what retention does not keep, so small that writers hardly wait for it. Resolves to whether there is more to remove.
   * Of an object that still exists, the newest 20 fires that succeeded, the newest 20 that failed and the newest 20 others stay.
   */
  prune(keep: RetentionLimits): Promise<boolean>
  /** The highest beacon ever seen, 0 at first. A lower one in etcd shows that etcd was restored from a snapshot. */
  beacon(): Promise<number>
  /** Stores `n` if it is higher. */
  raiseBeacon(n: number): Promise<void>
  close(): Promise<void>
}
