import type { CellKind } from '../../core/keys.ts'
import type { Outcome, Result } from '../../core/records/state.ts'
import type { FireSummary, Milestones } from '../../core/status/fire-summary.ts'

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
  /**
   * What an attempt's output contains, in its last 16 MiB, or its reason or message; ASCII letters of either case are alike. 1 to 1000
   * characters. A page looks only so far: it may have fewer rows than its limit, even none, and yet a cursor.
   */
  text?: string
  /** Not before. */
  from?: number
  /** Before. */
  to?: number
  /** Rows of a page, 1 to 1000. */
  limit: number
  /** Of the page before. */
  cursor?: string
}

/** Which attempt wrote it. */
export interface AttemptRef {
  uid: string
  run: string
  attempt: number
}

/**
 * What an attempt wrote between two positions of its spool: whole chunks (core/output/chunks.ts), or nothing if it was lost: `lost` says
 * how many bytes of stdout and stderr. `end`: nothing follows.
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

/** What is known of an attempt's output. */
export interface OutputHead extends AttemptRef {
  namespace: string
  name: string
  agent: string
  /** Up to this position of the spool. */
  stored: number
  /** Of stdout and stderr: kept; cut by the launcher, past outputLimit or what the disk took; lost on the way. */
  bytes: number
  cut: number
  lost: number
  ended: boolean
  /** Removed by retention. */
  expired?: boolean
}

/** Who ran an attempt: agents' names are unique in their pool. */
export interface Runner {
  pool: string
  agent: string
}

/** The output of attempts. Faults as LogStore's. */
export interface OutputStore {
  /**
   * In one transaction, on disk when it resolves; answers how far each piece's attempt is stored now. Of a piece that begins before that
   * only what lies beyond is stored; one that begins after it is not stored. One of `next` = `offset` with `end` only says the end.
   */
  storeOutput(pieces: readonly OutputPiece[]): Promise<number[]>
  /** By run: this one, or every part of the fire of that id; and by attempt, the newest last. */
  outputs(of: { run: string; uid?: string }): Promise<OutputHead[]>
  /** From the border of a chunk on, about `limit` bytes of whole chunks, at least one if there is one. `next` is where to go on. */
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

/** What retention leaves. */
export interface RetentionLimits {
  /**
   * Results of earlier scheduled times go, ms since the epoch, with their output; and output without a result of which nothing has come
   * since. undefined: all stay.
   */
  after?: number
  /** Output past so many bytes, as they are stored, goes, the oldest first; undefined: all stays. */
  outputBytes?: number
  /** The newest fires of an object that lives are spared, as its status rests on them. */
  isLiving(uid: string): boolean
}

/**
 * Every outcome, for as long as retention keeps it. Rows are unique by (uid, run, attempt): storing one twice is storing it once, and the
 * first one stays. Faults: `Unavailable` when the store does not answer or cannot write; `InvalidInput` for a query's field.
 */
export interface LogStore extends OutputStore {
  /** Whether it can be used, brought up to date if need be. Rejects with `InvalidInput` if a newer version made it. Every call asks it. */
  ready(): Promise<void>
  /** In one transaction, on disk when it resolves. */
  record(results: readonly StoredResult[]): Promise<void>
  /**
   * Fires of which a target has its final outcome, newest first: at most so many that succeeded and that failed, and the newest of those
   * that were skipped or cancelled. A fire that still runs on other targets may be among them.
   */
  recent(object: LoggedObject, limit: { succeeded: number; failed: number }): Promise<FireSummary[]>
  /** Independent of any limit; retention spares what they rest on. */
  milestones(object: LoggedObject): Promise<Milestones>
  /** Who ran each of these, as their results say; undefined: there is none, or nobody did. */
  ranBy(attempts: readonly AttemptRef[]): Promise<(Runner | undefined)[]>
  /** Every attempt and every range, by scheduled time, newest first. `cursor`: there may be more. */
  history(query: HistoryQuery): Promise<{ rows: StoredResult[]; cursor?: string }>
  /**
   * Removes a part of what is not to be kept, so small that who writes hardly waits for it; answers whether there is more. Of a living
   * object the newest 20 fires that succeeded, that failed and that did neither stay.
   */
  prune(keep: RetentionLimits): Promise<boolean>
  /** The highest beacon ever seen, 0 at first: a lower one in etcd means that it was restored from a snapshot. */
  beacon(): Promise<number>
  /** Keeps the higher one. */
  raiseBeacon(n: number): Promise<void>
  close(): Promise<void>
}
