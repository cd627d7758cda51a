import type { DatabaseSync } from 'node:sqlite'
import type { AttemptRef } from '../port.ts'
import { attemptIn, number } from '../result-rows.ts'
import { type Budget, isSpent } from '../retention-budget.ts'
import type { Outputs } from './output.ts'

/** A piece is at most one megabyte, and usually much smaller. */
const PIECES_AT_ONCE = 32

const OLDEST_ENDED = `
  SELECT p.output FROM output_pieces p INDEXED BY output_pieces_output JOIN outputs o ON o.id = p.output
  WHERE o.ended = 1 ORDER BY p.output LIMIT 1`
const DELETE_PIECES = `
  DELETE FROM output_pieces WHERE id IN
  (SELECT id FROM output_pieces WHERE output = ? ORDER BY position LIMIT ?) RETURNING length(chunks) AS bytes`
const MARK_EXPIRED = 'UPDATE outputs SET expired = 1 WHERE id = ?'
const DELETE_HEAD = 'DELETE FROM outputs WHERE id = ?'
const HEADS_AFTER = 'SELECT id, uid, run, attempt, began, said FROM outputs WHERE id > ? ORDER BY id LIMIT ?'
const COUNT_BYTES = "UPDATE facts SET value = value + ? WHERE key = 'outputBytes'"
const TOTAL_BYTES = "SELECT value FROM facts WHERE key = 'outputBytes'"

/** Removes output for retention: some pieces in each transaction, however much an attempt wrote. */
export class OutputExpiry {
  readonly #outputs: Outputs
  readonly #oldestEnded
  readonly #deletePieces
  readonly #markExpired
  readonly #deleteHead
  readonly #headsAfter
  readonly #countBytes
  readonly #totalBytes

  constructor(db: DatabaseSync, outputs: Outputs) {
    this.#outputs = outputs
    this.#oldestEnded = db.prepare(OLDEST_ENDED)
    this.#deletePieces = db.prepare(DELETE_PIECES)
    this.#markExpired = db.prepare(MARK_EXPIRED)
    this.#deleteHead = db.prepare(DELETE_HEAD)
    this.#headsAfter = db.prepare(HEADS_AFTER)
    this.#countBytes = db.prepare(COUNT_BYTES)
    this.#totalBytes = db.prepare(TOTAL_BYTES)
  }

  /**
   * Removes an attempt's pieces and then its head. Returns false if the budget was spent first: until the rest is removed the output is
   * marked as expired.
   */
  remove(of: AttemptRef, budget: Budget): boolean {
    const head = this.#outputs.head(of)
    if (!head) return true
    for (let isMore = true; isMore; ) {
      if (isSpent(budget)) {
        this.#markExpired.run(head.id)
        return false
      }
      isMore = this.#removePieces(head.id, budget) === PIECES_AT_ONCE
    }
    this.#deleteHead.run(head.id)
    return true
  }

  /** Removes some pieces of the oldest output that has ended. Its head stays, marked as expired. Returns false if there is none. */
  expireOldest(budget: Budget): boolean {
    const id = number(this.#oldestEnded.get()?.output)
    if (id === undefined) return false
    this.#markExpired.run(id)
    this.#removePieces(id, budget)
    return true
  }

  /** Heads in the order in which they began. `began` and `said`: when the first and the last piece arrived, ms since the epoch. */
  headsAfter(id: number, limit: number): (AttemptRef & { id: number; began: number; said: number })[] {
    return this.#headsAfter.all(id, limit).map(row => ({
      ...attemptIn(row),
      id: Number(row.id),
      began: Number(row.began),
      said: Number(row.said),
    }))
  }

  /** Bytes of all pieces, as they are stored. */
  totalBytes(): number {
    return number(this.#totalBytes.get()?.value) ?? 0
  }

  /** Returns how many pieces were removed. */
  #removePieces(id: number, budget: Budget): number {
    const removed = this.#deletePieces.all(id, PIECES_AT_ONCE)
    const bytes = removed.reduce((sum, row) => sum + (number(row.bytes) ?? 0), 0)
    this.#countBytes.run(-bytes)
    budget.bytes -= bytes
    budget.pieces -= Math.max(removed.length, 1)
    return removed.length
  }
}
