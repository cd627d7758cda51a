import pg from 'pg'
import { cursorAt, type Page, positionIn } from '../page-cursor.ts'
import type { HistoryQuery, LogStore, OutputPiece, StoredResult } from '../port.ts'
import { number, type Row, resultOf } from '../result-rows.ts'
import { pageWith } from '../text-search.ts'
import { type Connection, type ConnectionOptions, connectPostgres, type Execute } from './connection.ts'
import { unescaped } from './escape-text.ts'
import { milestonesOf, recentFires } from './fires.ts'
import { pageIn, pageOf } from './history.ts'
import { migrate } from './migrations.ts'
import { addPiece, firstTimes, headsOf, lockHeads, outputsOf, readOutput } from './output.ts'
import { createPartitions, type Partitions } from './partitions.ts'
import { addResults, ranBy } from './results.ts'
import { createRetention } from './retention.ts'

/**
 * The log store in a PostgreSQL database, version 14 or newer, for any number of operators. It connects at the first call. Each call tries
 * the server again, whether or not an earlier one failed.
 */
export function openPostgresLogStore(options: ConnectionOptions): LogStore {
  const connection = connectPostgres(options)
  const partitions = createPartitions(connection)
  const prune = createRetention({ connection, partitions })
  const ready = onceDone(() => migrate(connection))
  const whenReady = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    await ready()
    return await work(connection)
  }
  const reading = <T>(work: (execute: Execute) => Promise<T>): Promise<T> =>
    whenReady(({ execute }) => work(execute))
  const writing = <T>(work: () => Promise<T>): Promise<T> =>
    whenReady(async () => {
      try {
        return await work()
      } catch (error) {
        // Another operator dropped the partition.
        if (!(error instanceof pg.DatabaseError) || error.code !== NO_PARTITION) throw error
        partitions.forget()
        return await work()
      }
    })

  return {
    ready,
    record: results => writing(() => record({ connection, partitions }, results)),
    recent: ({ uid }, limit) => reading(execute => recentFires(execute, uid, limit)),
    milestones: ({ uid }, upTo) => reading(execute => milestonesOf(execute, uid, upTo)),
    ranBy: attempts => reading(execute => ranBy(execute, attempts)),
    history: query => reading(execute => historyOf(execute, query)),
    storeOutput: pieces => writing(() => storeOutput({ connection, partitions }, pieces)),
    outputs: of => reading(execute => headsOf(execute, of)),
    output: (of, from, limit) => reading(execute => readOutput(execute, of, { from, limit })),
    prune: keep => whenReady(() => prune(keep)),
    beacon: () => reading(beacon),
    raiseBeacon: n => reading(execute => raiseBeacon(execute, n)),
    close: () => connection.close(),
  }
}

/** SQLSTATE of "no partition of relation found for row": a check violation. */
const NO_PARTITION = '23514'

interface Writing {
  connection: Connection
  partitions: Partitions
}

async function record({ connection, partitions }: Writing, results: readonly StoredResult[]): Promise<void> {
  if (results.length === 0) return
  await partitions.ensure(
    'results',
    results.map(({ time }) => time),
  )
  await connection.transaction(execute => addResults(execute, results))
}

async function storeOutput(
  { connection, partitions }: Writing,
  pieces: readonly OutputPiece[],
): Promise<number[]> {
  if (pieces.length === 0) return []
  // Midnight may come before the commit, and a run may write days after its first piece. Not within the transaction: it would hold one
  // connection and wait for a second one.
  const times = await firstTimes(connection.execute, pieces)
  await partitions.ensure('output_pieces', [...times, Math.max(...times) + 3_600_000])
  return await connection.transaction(async execute => {
    const heads = await lockHeads(execute, pieces)
    const stored: number[] = []
    for (const piece of pieces) stored.push(await addPiece(execute, piece, heads))
    return stored
  })
}

async function historyOf(execute: Execute, query: HistoryQuery): ReturnType<LogStore['history']> {
  const store = {
    pageIn: (part: HistoryQuery) => pageFrom(execute, part),
    outputsOf: (rows: readonly Row[]) => outputsOf(execute, rows),
  }
  const { rows, last } =
    query.text === undefined ? await pageFrom(execute, query) : await pageWith(query.text, query, store)
  return { rows: rows.map(resultOf), ...(last ? { cursor: cursorAt(positionIn(last)) } : {}) }
}

async function pageFrom(execute: Execute, query: HistoryQuery): Promise<Page> {
  const plan = pageOf(query)
  const { rows } = await execute(plan.sql, plan.parameters)
  return pageIn(rows.map(unescaped), plan, query.limit)
}

async function beacon(execute: Execute): Promise<number> {
  const { rows } = await execute(`SELECT value FROM facts WHERE key = 'beacon'`)
  return number(rows[0]?.value) ?? 0
}

async function raiseBeacon(execute: Execute, n: number): Promise<void> {
  await execute(
    `INSERT INTO facts AS f (key, value) VALUES ('beacon', $1)
     ON CONFLICT (key) DO UPDATE SET value = greatest(f.value, excluded.value)`,
    [n],
  )
}

/** Runs `work` once, and again only if it failed. */
function onceDone(work: () => Promise<void>): () => Promise<void> {
  let doing: Promise<void> | undefined
  return () => {
    doing ??= work().catch((error: unknown) => {
      doing = undefined
      throw error
    })
    return doing
  }
}
