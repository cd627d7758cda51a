import { DatabaseSync } from 'node:sqlite'
import { messageOf, Unavailable } from '../../../runtime/errors.ts'
import type { HistoryQuery, LogStore, StoredResult } from '../port.ts'
import { cursorAt, positionIn } from '../position.ts'
import { COLUMNS, columnsOf, number, resultOf } from '../rows.ts'
import { type Has, pageWith } from '../search.ts'
import { createFires } from './fires.ts'
import { migrate } from './migrations.ts'
import { createOutputs } from './output.ts'
import { ownerOnly } from './owner-only.ts'
import { createPages } from './pages.ts'
import { createRanBy } from './ran-by.ts'
import { createRetention } from './retention.ts'

/** How long to wait for another process that writes, ms: an operator that is just being replaced. */
const BUSY_MS = 5_000

/**
 * The log store in one file, for one operator. Throws `Unavailable` if the file cannot be opened, `InvalidInput` if a newer version made
 * it. `path`: of the file; its folder exists.
 */
export function openSqliteLogStore(path: string): LogStore {
  return guarded(path, () => {
    ownerOnly(path)
    const db = new DatabaseSync(path, { timeout: BUSY_MS })
    try {
      // FULL: what is stored is deleted from etcd next, and must outlive a power cut. The cache, in KiB, holds the indexes' newest pages.
      // What retention frees goes back to the file system; of a file that is older than this setting it is used again.
      db.exec(
        'PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768',
      )
      migrate(db)
      return storeOn(db, path)
    } catch (error) {
      db.close()
      throw error
    }
  })
}

function storeOn(db: DatabaseSync, path: string): LogStore {
  const insert = db.prepare(
    `INSERT INTO results (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(column => `:${column}`).join(', ')})
     ON CONFLICT (uid, time, run, attempt) DO NOTHING`,
  )
  const named = db.prepare('INSERT OR IGNORE INTO objects (namespace, name, uid) VALUES (?, ?, ?)')
  const fires = createFires(db)
  const outputs = createOutputs(db)
  const fact = db.prepare('SELECT value FROM facts WHERE key = ?')
  const raise = db.prepare(
    'INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)',
  )
  const recordAll = (results: readonly StoredResult[]) => {
    for (const result of results) {
      const { changes, lastInsertRowid } = insert.run(columnsOf(result))
      if (changes === 0) continue
      named.run(result.namespace, result.name, result.uid)
      fires.add(result, Number(lastInsertRowid))
    }
  }
  const pageIn = createPages(db)
  // Each look by itself: others ask between them.
  const searched = {
    pageIn: (query: HistoryQuery) => guarded(path, () => pageIn(query)),
    outputsOf: (): Has => (of, last, search) => guarded(path, () => outputs.has(of, last, search)),
  }
  const historyOf = async (query: HistoryQuery) => {
    const { rows, last } =
      query.text === undefined ? searched.pageIn(query) : await pageWith(query.text, query, searched)
    return { rows: rows.map(resultOf), ...(last ? { cursor: cursorAt(positionIn(last)) } : {}) }
  }
  const ranBy = createRanBy(db)
  const retention = createRetention(db, { fires, outputs, ranBy })
  const asked = async <T>(work: () => T): Promise<T> => guarded(path, work)

  return {
    // Opening it was all.
    ready: async () => undefined,
    record: results => asked(() => transaction(db, () => recordAll(results))),
    recent: ({ uid }, limit) => asked(() => fires.recent(uid, limit)),
    milestones: ({ uid }) => asked(() => fires.milestones(uid)),
    ranBy: attempts => asked(() => attempts.map(ranBy)),
    history: historyOf,
    storeOutput: pieces => asked(() => transaction(db, () => pieces.map(outputs.add))),
    outputs: of => asked(() => outputs.heads(of)),
    prune: keep => asked(() => transaction(db, () => retention.prune(keep))),
    output: (of, from, limit) => asked(() => outputs.read(of, from, limit)),
    beacon: () => asked(() => number(fact.get('beacon')?.value) ?? 0),
    raiseBeacon: n => asked(() => void raise.run('beacon', n)),
    close: () => asked(() => db.close()),
  }
}

function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const done = work()
    db.exec('COMMIT')
    return done
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** SQLite's primary result codes for a call that was wrong in itself: SQL error, schema, too big, constraint, mismatch, misuse, range. */
const BUGS = new Set([1, 17, 18, 19, 20, 21, 25])

/** A disk that is full, a lock, a file that is damaged: not now. Anything else is a bug, and stays what it is. */
function guarded<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code, errcode } = error as { code?: string; errcode?: number }
    const closed = code === 'ERR_INVALID_STATE'
    if (!closed && (code !== 'ERR_SQLITE_ERROR' || BUGS.has((errcode ?? 1) & 0xff))) throw error
    throw new Unavailable(`log store ${path}: ${messageOf(error)}`, { cause: error })
  }
}
