import type { DatabaseSync } from 'node:sqlite'
import type { AttemptRef, RetentionLimits, Runner } from '../port.ts'
import { attemptIn, number, type Row, text } from '../result-rows.ts'
import { type Budget, isSpent } from '../retention-budget.ts'
import type { OutputExpiry } from './expiry.ts'
import type { FireRef, Fires } from './fires.ts'

/** Limits of one transaction, which then takes about ten milliseconds. */
const ROWS_AT_ONCE = 200
const OUTPUT_AT_ONCE: Readonly<Budget> = { pieces: 2_000, bytes: 4 * 1_024 * 1_024 }
const PAGES_AT_ONCE = 1_000

const START = { time: Number.MIN_SAFE_INTEGER, id: 0 }

const OLD_RESULTS = `
  SELECT id, uid, run, attempt, time, clock_epoch, namespace, name, job_name FROM results INDEXED BY results_time
  WHERE time < :after AND (time, id) > (:time, :id) ORDER BY time, id LIMIT ${ROWS_AT_ONCE}`
const DELETE_RESULT = 'DELETE FROM results WHERE id = ?'
const ANY_OF_FIRE =
  'SELECT 1 FROM results INDEXED BY results_uid WHERE uid = :uid AND time = :time AND clock_epoch = :clockEpoch LIMIT 1'
const ANY_OF_OBJECT = 'SELECT 1 FROM results INDEXED BY results_uid WHERE uid = ? LIMIT 1'
const DELETE_OBJECT = 'DELETE FROM objects WHERE namespace = ? AND name = ? AND uid = ?'

export interface RetentionOptions {
  fires: Fires
  expiry: OutputExpiry
  /** Which agent ran it, by its result. */
  ranBy(of: AttemptRef): Runner | undefined
}

/**
 * Removes old results with their output, then output without a result, then output beyond the size limit. Each call does a part and
 * remembers where it stopped. After the last old row it starts again, because a spared fire may no longer be among the newest.
 */
export class Retention {
  readonly #db: DatabaseSync
  readonly #options: RetentionOptions
  readonly #oldResults
  readonly #deleteResult
  readonly #anyOfFire
  readonly #anyOfObject
  readonly #deleteObject
  #resultsAfter = START
  #orphansAfter = 0

  constructor(db: DatabaseSync, options: RetentionOptions) {
    this.#db = db
    this.#options = options
    this.#oldResults = db.prepare(OLD_RESULTS)
    this.#deleteResult = db.prepare(DELETE_RESULT)
    this.#anyOfFire = db.prepare(ANY_OF_FIRE)
    this.#anyOfObject = db.prepare(ANY_OF_OBJECT)
    this.#deleteObject = db.prepare(DELETE_OBJECT)
  }

  /** Runs within the caller's transaction. Returns whether there is more to do. */
  prune({ after, outputBytes, isLiving }: RetentionLimits): boolean {
    const budget = { ...OUTPUT_AT_ONCE }
    const isMore =
      after !== undefined &&
      (this.#pruneResults(after, isLiving, budget) || this.#pruneOrphans(after, budget))
    const isMoreOutput = outputBytes !== undefined && this.#pruneOutput(outputBytes, budget)
    this.#db.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
    return isMore || isMoreOutput
  }

  #pruneResults(after: number, isLiving: RetentionLimits['isLiving'], budget: Budget): boolean {
    const rows = this.#oldResults.all({ after, ...this.#resultsAfter })
    // Decided for all rows before any is removed: a fire may have several rows, and is spared or removed as a whole.
    const expired = new Set(rows.filter(row => !this.#isSpared(row, isLiving)))
    for (const row of rows) {
      if (expired.has(row) && !this.#removeResult(row, budget)) return true
      this.#resultsAfter = { time: number(row.time) ?? 0, id: number(row.id) ?? 0 }
    }
    if (rows.length === ROWS_AT_ONCE) return true
    this.#resultsAfter = START
    return false
  }

  #isSpared(row: Row, isLiving: RetentionLimits['isLiving']): boolean {
    const uid = text(row.uid) ?? ''
    return isLiving(uid) && this.#options.fires.isRecent(fireIn(row))
  }

  /** Removes the output first. Returns false if the budget was spent before all of the output was removed. */
  #removeResult(row: Row, budget: Budget): boolean {
    const { fires, expiry } = this.#options
    if (!expiry.remove(attemptIn(row), budget)) return false
    const fire = fireIn(row)
    const { uid } = fire
    this.#deleteResult.run(number(row.id) ?? 0)
    if (this.#anyOfFire.get({ ...fire })) return true
    fires.remove(fire)
    if (this.#anyOfObject.get(uid)) return true
    for (const name of [text(row.name), text(row.job_name)])
      if (name !== undefined) this.#deleteObject.run(text(row.namespace) ?? '', name, uid)
    return true
  }

  #pruneOrphans(after: number, budget: Budget): boolean {
    const { expiry, ranBy } = this.#options
    const heads = expiry.headsAfter(this.#orphansAfter, ROWS_AT_ONCE)
    for (const { id, began, said, ...of } of heads) {
      // Heads are in the order in which they began: all that follow are newer.
      if (began >= after) break
      if (said < after && !ranBy(of) && !expiry.remove(of, budget)) return true
      this.#orphansAfter = id
    }
    if (this.#orphansAfter === heads.at(-1)?.id) return true
    this.#orphansAfter = 0
    return false
  }

  #pruneOutput(limit: number, budget: Budget): boolean {
    const { expiry } = this.#options
    while (expiry.totalBytes() > limit) {
      if (isSpent(budget)) return true
      if (!expiry.expireOldest(budget)) return false
    }
    return false
  }
}

function fireIn(row: Row): FireRef {
  return {
    uid: text(row.uid) ?? '',
    clockEpoch: number(row.clock_epoch) ?? 0,
    time: number(row.time) ?? 0,
  }
}
