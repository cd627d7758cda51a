import { DatabaseSync } from 'node:sqlite'
import { messageOf, Unavailable } from '../../../platform/errors.ts'
import { cursorAt, positionIn } from '../page-cursor.ts'
import type { HistoryQuery, LogStore, StoredResult } from '../port.ts'
import { COLUMNS, columnsOf, number, resultOf } from '../result-rows.ts'
import { type OutputContains, pageWith } from '../text-search.ts'
import { OutputExpiry } from './expiry.ts'
import { makeOwnerOnly } from './file-mode.ts'
import { createRunnerLookup } from './find-runner.ts'
import { Fires } from './fires.ts'
import { createPages } from './history-page.ts'
import { migrate } from './migrations.ts'
import { Outputs } from './output.ts'
import { Retention } from './retention.ts'

/** How long to wait for another process that writes, ms. The event loop is blocked during that time. Callers retry. */
const BUSY_MS = 1_000

/**
 * The log store in one file, for one operator. `path`: of the file, in an existing folder. Throws `InvalidInput` if a newer version created
 * it, and `Unavailable` if it cannot be opened and somebody has to fix that. A fault that may pass, such as a lock, does not throw: until the
 * file can be opened, every call rejects with `Unavailable`.
 */
export function openSqliteLogStore(path: string): LogStore {
  let parts: Parts | undefined
  let isClosed = false
  const opened = () => {
    if (isClosed) throw new Unavailable(`log store ${path}: closed`)
    parts ??= open(path)
    return parts
  }
  try {
    guarded(path, opened)
  } catch (error) {
    if (!(error instanceof Unavailable && isTransient(error.cause))) throw error
  }
  const call = async <T>(work: (of: Parts) => T): Promise<T> => guarded(path, () => work(opened()))
  // Each part of a search is a call of its own: other calls may come between.
  const searchable = {
    pageIn: (query: HistoryQuery) => guarded(path, () => opened().pageIn(query)),
    outputsOf: (): OutputContains => (of, last, search) =>
      guarded(path, () => opened().outputs.has(of, last, search)),
  }
  const historyOf = async (query: HistoryQuery) => {
    const { rows, last } =
      query.text === undefined ? searchable.pageIn(query) : await pageWith(query.text, query, searchable)
    return { rows: rows.map(resultOf), ...(last ? { cursor: cursorAt(positionIn(last)) } : {}) }
  }

  return {
    ready: () => call(() => undefined),
    record: results => call(({ db, record }) => transaction(db, () => record(results))),
    recent: ({ uid }, limit) => call(({ fires }) => fires.recent(uid, limit)),
    milestones: ({ uid }, upTo) => call(({ fires }) => fires.milestones(uid, upTo)),
    ranBy: attempts => call(({ ranBy }) => attempts.map(ranBy)),
    history: historyOf,
    storeOutput: pieces =>
      call(({ db, outputs }) => transaction(db, () => pieces.map(piece => outputs.add(piece)))),
    outputs: of => call(({ outputs }) => outputs.heads(of)),
    prune: keep => call(({ db, retention }) => transaction(db, () => retention.prune(keep))),
    output: (of, from, limit) => call(({ outputs }) => outputs.read(of, from, limit)),
    beacon: () => call(({ beacon }) => beacon.read()),
    raiseBeacon: n => call(({ beacon }) => beacon.raise(n)),
    async close() {
      isClosed = true
      guarded(path, () => parts?.db.close())
    },
  }
}

/** An open file, with its statements. */
type Parts = ReturnType<typeof partsOn>

function open(path: string): Parts {
  makeOwnerOnly(path)
  const db = new DatabaseSync(path, { timeout: BUSY_MS })
  try {
    // FULL: stored results are deleted from etcd next, and must survive a power failure. The cache (KiB) holds the newest pages of indexes.
    // Space that retention frees returns to the file system. A file from before this setting keeps its size and reuses the space.
    db.exec(
      'PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768',
    )
    migrate(db)
    return partsOn(db)
  } catch (error) {
    db.close()
    throw error
  }
}

function partsOn(db: DatabaseSync) {
  const insert = db.prepare(
    `INSERT INTO results (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(column => `:${column}`).join(', ')})
     ON CONFLICT (uid, time, run, attempt) DO NOTHING`,
  )
  const named = db.prepare('INSERT OR IGNORE INTO objects (namespace, name, uid) VALUES (?, ?, ?)')
  const fires = new Fires(db)
  const outputs = new Outputs(db)
  const fact = db.prepare('SELECT value FROM facts WHERE key = ?')
  const raise = db.prepare(
    'INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)',
  )
  const ranBy = createRunnerLookup(db)
  return {
    db,
    fires,
    outputs,
    ranBy,
    pageIn: createPages(db),
    retention: new Retention(db, { fires, expiry: new OutputExpiry(db, outputs), ranBy }),
    beacon: {
      read: () => number(fact.get('beacon')?.value) ?? 0,
      raise: (n: number) => void raise.run('beacon', n),
    },
    record(results: readonly StoredResult[]) {
      for (const result of results) {
        const { changes, lastInsertRowid } = insert.run(columnsOf(result))
        if (changes === 0) continue
        named.run(result.namespace, result.name, result.uid)
        if (result.jobName) named.run(result.namespace, result.jobName, result.uid)
        fires.add(result, Number(lastInsertRowid))
      }
    },
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

/** SQLite's primary result codes for a bug in the call: SQL error, schema, too big, constraint, mismatch, misuse, range. */
const BUGS = new Set([1, 17, 18, 19, 20, 21, 25])
/** Codes of faults that may pass: busy, locked, I/O error, full disk. */
const TRANSIENT = new Set([5, 6, 10, 13])

const primaryOf = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 1) & 0xff

function isTransient(error: unknown): boolean {
  return TRANSIENT.has(primaryOf(error))
}

/** Turns faults of the file (a full disk, a lock, damage) into Unavailable. Anything else is a bug, and is thrown as it is. */
function guarded<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code } = error as { code?: string }
    const closed = code === 'ERR_INVALID_STATE'
    if (!closed && (code !== 'ERR_SQLITE_ERROR' || BUGS.has(primaryOf(error)))) throw error
    throw new Unavailable(`log store ${path}: ${messageOf(error)}`, { cause: error })
  }
}
