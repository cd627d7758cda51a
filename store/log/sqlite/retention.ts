import type { DatabaseSync } from 'node:sqlite'
import type { Keep } from '../port.ts'
import { number, type Row, text } from '../rows.ts'
import type { createFires } from './fires.ts'
import type { Outputs } from './output.ts'

/** Rows that are looked at, and bytes of output that go, in one transaction: some ten milliseconds. */
const ROWS_AT_ONCE = 200
const BYTES_AT_ONCE = 4 * 1_024 * 1_024
const PAGES_AT_ONCE = 1_000

export interface Retention {
  /** Within a transaction of the caller's. Answers whether there is more to do. */
  prune(keep: Keep): boolean
}

/**
 * Goes over what is old by time, from where the last part ended; at the end of it the next one begins anew, as what was spared may no
 * longer be among the newest.
 */
export function createRetention(
  db: DatabaseSync,
  { fires, outputs }: { fires: ReturnType<typeof createFires>; outputs: Outputs },
): Retention {
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
  let at = { time: Number.MIN_SAFE_INTEGER, id: 0 }

  const removeResult = (row: Row): void => {
    const [uid, time] = [text(row.uid) ?? '', number(row.time) ?? 0]
    remove.run(number(row.id) ?? 0)
    outputs.remove({ uid, run: text(row.run) ?? '', attempt: number(row.attempt) ?? 0 })
    if (another.get(uid, time)) return
    fires.remove(uid, time)
    if (!any.get(uid)) forget.run(text(row.namespace) ?? '', text(row.name) ?? '', uid)
  }

  const pruneResults = (after: number, isLiving: (uid: string) => boolean): boolean => {
    const rows = old.all({ after, ...at })
    // What is spared is judged before anything goes: a fire may have several rows, on which it rests together.
    const gone = rows.filter(row => {
      const uid = text(row.uid) ?? ''
      return !(isLiving(uid) && fires.isRecent(uid, number(row.time) ?? 0))
    })
    for (const row of gone) removeResult(row)
    const last = rows.at(-1)
    const isMore = rows.length === ROWS_AT_ONCE && last !== undefined
    at = isMore
      ? { time: number(last.time) ?? 0, id: number(last.id) ?? 0 }
      : { time: Number.MIN_SAFE_INTEGER, id: 0 }
    return isMore
  }

  const pruneOutput = (most: number): boolean => {
    for (let removed = 0; outputs.totalBytes() > most; ) {
      const bytes = outputs.expire()
      if (bytes === 0) return false
      removed += bytes
      if (removed >= BYTES_AT_ONCE) return true
    }
    return false
  }

  return {
    prune({ after, outputBytes, isLiving }) {
      const isMore = after !== undefined && pruneResults(after, isLiving)
      const isMoreOutput = outputBytes !== undefined && pruneOutput(outputBytes)
      db.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
      return isMore || isMoreOutput
    },
  }
}
