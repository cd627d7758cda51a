import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OUTCOMES } from '../../core/records/state.ts'
import type { HistoryQuery, LogStore, StoredResult } from '../../store/log/port.ts'
import { openPostgresLogStore } from '../../store/log/postgres/store.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { startPostgres } from '../servers/postgres.ts'
import { flags, median, say } from './figures.ts'

/**
 * A log store with many runs: the time of a page of history for every kind of query, at the newest and at deep pages; and the rate at which
 * results and output are stored.
 *
 *   node test/bench/history.bench.ts [--runs 1000000] [--pages 20] [--postgres 1]
 */
const JOBS = 2_000
const AGENTS = 200
const NAMESPACES = 20
const DAYS = 90
const TOGETHER = 1_000
const LIVES = 10_000
const SAID = Buffer.from('Filesystem 1K-blocks Used Available Use% Mounted on /dev/vda 252G 19G 73G 21% /\n')

const T0 = Date.UTC(2026, 0, 1)

/** Deterministic outcomes, of which about 2 % do not succeed. */
function result(n: number, of: number): StoredResult {
  const time = T0 + Math.floor((n / of) * DAYS * 86_400) * 1_000
  const job = (n * 7_919) % JOBS
  const isBad = n % 53 === 0
  const outcome = isBad ? (OUTCOMES[1 + (n % (OUTCOMES.length - 1))] ?? 'Failed') : 'Succeeded'
  return {
    run: `team-${job % NAMESPACES}.job-${job}.${time}`,
    kind: n % 40 === 0 ? 'run' : 'job',
    uid: `0b8a2c1e-0000-4000-8000-${String(job).padStart(12, '0')}`,
    generation: 1,
    pool: 'default',
    namespace: `team-${job % NAMESPACES}`,
    name: `job-${job}`,
    target: '-',
    agent: `node-${(n * 104_729) % AGENTS}`,
    attempt: 1,
    time,
    startedAt: time + 12,
    endedAt: time + 900,
    outcome,
    exitCode: isBad ? 1 : 0,
    reason: isBad ? 'NonZeroExitCode' : 'Completed',
    tail: SAID.toString(),
    final: true,
  }
}

/** A job that runs often, and was deleted and created again: two uids. */
function often(n: number, of: number): StoredResult {
  const { time } = result(n, of)
  const uid = `0b8a2c1e-0000-4000-9000-00000000000${n < of / 2 ? 1 : 2}`
  return {
    ...result(n, of),
    kind: 'job',
    uid,
    namespace: 'team-7',
    name: 'often',
    run: `team-7.often.${time}.${n}`,
  }
}

/** A ShellRun that is deleted and created again with its name: each has its own uid. */
function again(n: number): StoredResult {
  const { time } = result(n, LIVES)
  const uid = `0b8a2c1e-0000-4000-a000-${String(n).padStart(12, '0')}`
  return {
    ...result(n, LIVES),
    kind: 'run',
    uid,
    namespace: 'team-7',
    name: 'again',
    run: `team-7.again.${time}.${n}`,
  }
}

async function fill(store: LogStore, bytesOf: () => Promise<number>, runs: number): Promise<void> {
  const began = performance.now()
  for (let from = 0; from < runs; from += TOGETHER)
    await store.record(
      Array.from({ length: Math.min(TOGETHER, runs - from) }, (_, i) => result(from + i, runs)),
    )
  for (let from = 0; from < runs / 4; from += TOGETHER)
    await store.record(Array.from({ length: TOGETHER }, (_, i) => often(from + i, runs / 4)))
  for (let from = 0; from < LIVES; from += TOGETHER)
    await store.record(Array.from({ length: TOGETHER }, (_, i) => again(from + i)))
  const seconds = (performance.now() - began) / 1_000
  say('filled', { runs, seconds, 'a-second': runs / seconds, 'MB-on-disk': (await bytesOf()) / 1e6 })
}

const middle = T0 + (DAYS / 2) * 86_400_000
const shapes: Record<string, Omit<HistoryQuery, 'limit'>> = {
  everything: {},
  'a job': { namespace: 'team-7', name: 'job-7' },
  'a namespace': { namespace: 'team-7' },
  'an agent': { agent: 'node-11' },
  'what failed': { outcome: 'Failed' },
  'what was lost, of an agent': { outcome: 'Lost', agent: 'node-11' },
  'what failed, of a job': { namespace: 'team-7', name: 'job-7', outcome: 'Failed' },
  'what failed, of a namespace': { namespace: 'team-7', outcome: 'Failed' },
  'what succeeded, of a namespace': { namespace: 'team-7', outcome: 'Succeeded' },
  ShellRuns: { kind: 'run' },
  'ShellRuns of a namespace': { kind: 'run', namespace: 'team-0' },
  'a job on an agent': { namespace: 'team-7', name: 'job-7', agent: 'node-11' },
  'a job of two lives': { namespace: 'team-7', name: 'often' },
  'a job of two lives, on an agent that never ran it': {
    namespace: 'team-7',
    name: 'often',
    agent: 'nobody',
  },
  'a name of ten thousand lives': { namespace: 'team-7', name: 'again' },
  'a name of ten thousand lives, on an agent that never ran it': {
    namespace: 'team-7',
    name: 'again',
    agent: 'nobody',
  },
  'an hour': { from: middle, to: middle + 3_600_000 },
  'before the middle': { to: middle },
  'a namespace on an agent, before the middle': { namespace: 'team-7', agent: 'node-11', to: middle },
  nothing: { namespace: 'nobody' },
  'nothing of an agent': { namespace: 'nobody', agent: 'node-11' },
  'a job that never failed so': { namespace: 'team-7', name: 'job-7', outcome: 'TimedOut' },
  'a text': { text: 'mounted on' },
  'a text that is nowhere': { text: 'no such word' },
}

async function pages(store: LogStore, query: Omit<HistoryQuery, 'limit'>, most: number) {
  const took: number[] = []
  let rows = 0
  let cursor: string | undefined
  for (let page = 0; page < most; page++) {
    const began = performance.now()
    const answer = await store.history({ ...query, limit: 100, ...(cursor ? { cursor } : {}) })
    took.push(performance.now() - began)
    rows += answer.rows.length
    cursor = answer.cursor
    if (!cursor) break
  }
  return { pages: took.length, rows, 'p50-ms': median(took), 'max-ms': Math.max(...took) }
}

async function incoming(store: LogStore, runs: number): Promise<void> {
  const began = performance.now()
  const header = Buffer.alloc(13)
  header.writeUInt8(1, 0)
  header.writeUInt32BE(SAID.length, 9)
  const chunks = Buffer.concat([header, SAID])
  for (let n = 0; n < 10_000; n += 100) {
    const results = Array.from({ length: 100 }, (_, i) => result(runs + n + i, runs))
    await store.record(results)
    await store.storeOutput(
      results.map(of => ({
        ...of,
        agent: of.agent ?? '',
        offset: 0,
        next: chunks.length,
        chunks,
        end: true,
      })),
    )
  }
  say('results with output, 100 together', { 'a-second': 10_000 / ((performance.now() - began) / 1_000) })
}

/** The store: a file, or its own server, whose commits do not wait for the disk. */
interface Place {
  open(): LogStore
  bytes(): Promise<number>
  remove(): Promise<void>
}

async function inFile(): Promise<Place> {
  const { path, remove } = await temporaryDirectory('shellcron-history-')
  const file = join(path, 'log.db')
  const bytes = async () => {
    const db = new DatabaseSync(file, { readOnly: true })
    const size = db
      .prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size')
      .get()
    db.close()
    return Number(size?.bytes)
  }
  return { open: () => openSqliteLogStore(file), bytes, remove }
}

async function inPostgres(): Promise<Place> {
  const postgres = await startPostgres()
  const url = await postgres.database('history')
  return {
    open: () => openPostgresLogStore({ url, password: async () => postgres.password }),
    bytes: async () => Number((await postgres.ask(`SELECT pg_database_size('history') AS bytes`))[0]?.bytes),
    remove: () => postgres.remove(),
  }
}

const { runs, pages: most, postgres } = flags({ runs: 1_000_000, pages: 20, postgres: 0 })
const place = await (postgres ? inPostgres() : inFile())
try {
  const filling = place.open()
  await fill(filling, place.bytes, runs)
  await filling.close()
  // Opened again, so that the cache has only what the queries read.
  const store = place.open()
  for (const [name, query] of Object.entries(shapes)) say(name, await pages(store, query, most))
  await incoming(store, runs)
  await store.close()
} finally {
  await place.remove()
}
