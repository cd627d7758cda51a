import type { DatabaseSync } from 'node:sqlite'
import type { AttemptRef, Keep, Runner } from '../port.ts'
import { number, type Row, text } from '../result-rows.ts'
import { type Budget, isSpent } from '../retention-budget.ts'
import { attemptIn } from '../text-search-page.ts'
import type { createFires } from './fires.ts'
import type { Outputs } from './output.ts'

/** Rows that are looked at, and output that goes, in one transaction: some ten milliseconds. */
const ROWS_AT_ONCE = 200
const AT_ONCE: Readonly<Budget> = { pieces: 2_000, bytes: 4 * 1_024 * 1_024 }
const PAGES_AT_ONCE = 1_000

const START = { time: Number.MIN_SAFE_INTEGER, id: 0 }

export interface Retention {
  /** Within a transaction of the caller's. Answers whether there is more to do. */
  prune(keep: Keep): boolean
}

export interface RetentionOptions {
  fires: ReturnType<typeof createFires>
  outputs: Outputs
  /** Who ran it, by its result. */
  ranBy(of: AttemptRef): Runner | undefined
}

/**
 * Goes over what is old by time, from where the last part ended; at the end of it the next one begins anew, as what was spared may no
 * longer be among the newest. Then over the output that has no result, from the oldest on.
 */
export function createRetention(db: DatabaseSync, { fires, outputs, ranBy }: RetentionOptions): Retention {
  const old = db.prepare(
    `SELECT id, uid, run, attempt, time, namespace, name FROM results INDEXED BY results_time
     WHERE time < :after AND (time, id) > (:time, :id) ORDER BY time, id LIMIT ${ROWS_AT_ONCE}`,
  )
  const remove = db.prepare('DELETE FROM results WHERE id = ?')
  const another = db.prepare(
    'SELECT 1 FROM results INDEXED BY results_uid WHERE uid = ? AND time = ? LIMIT 1',
  )
  const any = db.prepare('SELECT 1 FROM results INDEXED BY results_uid WHERE uid = ? LIMIT 1')
  const forget = db.prepare('DELETE FROM objects WHERE namespace = ? AND name = ? AND uid = ?')
  let at = START
  let orphansAfter = 0

  /** Its output first. False: the budget was spent before that was gone. */
  const removeResult = (row: Row, budget: Budget): boolean => {
    if (!outputs.remove(attemptIn(row), budget)) return false
    const [uid, time] = [text(row.uid) ?? '', number(row.time) ?? 0]
    remove.run(number(row.id) ?? 0)
    if (another.get(uid, time)) return true
    fires.remove(uid, time)
    if (!any.get(uid)) forget.run(text(row.namespace) ?? '', text(row.name) ?? '', uid)
    return true
  }

  const pruneResults = (after: number, isLiving: (uid: string) => boolean, budget: Budget): boolean => {
    const rows = old.all({ after, ...at })
    // What is spared is judged before anything goes: a fire may have several rows, on which it rests together.
    const gone = new Set(
      rows.filter(row => {
        const uid = text(row.uid) ?? ''
        return !(isLiving(uid) && fires.isRecent(uid, number(row.time) ?? 0))
      }),
    )
    for (const row of rows) {
      if (gone.has(row) && !removeResult(row, budget)) return true
      at = { time: number(row.time) ?? 0, id: number(row.id) ?? 0 }
    }
    if (rows.length === ROWS_AT_ONCE) return true
    at = START
    return false
  }

  /** Heads lie in the order in which they began. */
  const pruneOrphans = (after: number, budget: Budget): boolean => {
    const heads = outputs.headsAfter(orphansAfter, ROWS_AT_ONCE)
    for (const { id, began, said, ...of } of heads) {
      if (began >= after) break
      if (said < after && !ranBy(of) && !outputs.remove(of, budget)) return true
      orphansAfter = id
    }
    if (orphansAfter === heads.at(-1)?.id) return true
    orphansAfter = 0
    return false
  }

  const pruneOutput = (most: number, budget: Budget): boolean => {
    while (outputs.totalBytes() > most) {
      if (isSpent(budget)) return true
      if (!outputs.expire(budget)) return false
    }
    return false
  }

  return {
    prune({ after, outputBytes, isLiving }) {
      const budget = { ...AT_ONCE }
      const isMore =
        after !== undefined && (pruneResults(after, isLiving, budget) || pruneOrphans(after, budget))
      const isMoreOutput = outputBytes !== undefined && pruneOutput(outputBytes, budget)
      db.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
      return isMore || isMoreOutput
    },
  }
}
