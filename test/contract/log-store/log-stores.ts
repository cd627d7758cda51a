import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { scheduledRunId } from '../../../core/keys.ts'
import type { LogStore, OutputPiece, StoredResult } from '../../../store/log/port.ts'
import { openPostgresLogStore } from '../../../store/log/postgres/store.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { type Postgres, startPostgres } from '../../servers/postgres.ts'

/** The implementations of the log store, and the data that their suites store. */

/** Opens the same store each time. It is new and empty at first. */
interface Place {
  open(): Promise<LogStore>
  remove(): Promise<void>
}

/** One server (or folder) that gives each test of a block a new, empty store. */
interface Server {
  place(): Promise<Place>
  stop(): Promise<void>
}

let databases = 0

export const logStores: Record<string, () => Promise<Server>> = {
  sqlite: async () => ({ place: onDisk, stop: async () => undefined }),
  postgres: async () => {
    const postgres = await startPostgres()
    return { place: () => inDatabase(postgres), stop: () => postgres.remove() }
  },
}

async function onDisk(): Promise<Place> {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-log-'))
  return {
    open: async () => openSqliteLogStore(join(dir, 'log.db')),
    remove: () => rm(dir, { recursive: true, force: true }),
  }
}

async function inDatabase(postgres: Postgres): Promise<Place> {
  const name = `d${++databases}`
  const url = await postgres.database(name)
  return {
    open: async () => openPostgresLogStore({ url, password: async () => postgres.password }),
    remove: async () => void (await postgres.ask(`DROP DATABASE ${name} WITH (FORCE)`)),
  }
}

/**
 * One of `logStores`, empty and open for each test of the block, on one server for all of them. `store` is set only while a test runs.
 */
export function logStoreForEach(start: () => Promise<Server>) {
  const store = {} as LogStore
  let server: Server
  let place: Place
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    place = await server.place()
    Object.assign(store, await place.open())
  })
  afterEach(async () => {
    await store.close()
    await place.remove()
  })
  return {
    store,
    /** Opens the same store a second time. */
    another: () => place.open(),
    /** Closes and opens the store, as a restart does. */
    async reopen(): Promise<void> {
      await store.close()
      Object.assign(store, await place.open())
    },
  }
}

export const T0 = Date.UTC(2026, 0, 1)

/** The same run in another clock epoch. */
export function inClockEpoch(clockEpoch: number, one: StoredResult): StoredResult {
  return { ...one, run: scheduledRunId(one, one.time, clockEpoch) }
}

/** A run of ops/report at T0 + `n` seconds. */
export function result(n: number, over: Partial<StoredResult> = {}): StoredResult {
  const time = over.time ?? T0 + n * 1_000
  const target = over.target ?? '-'
  return {
    run: `ops.report.${time}${target === '-' ? '' : `.${target}`}`,
    kind: 'job',
    uid: 'u1',
    generation: 1,
    pool: 'default',
    namespace: 'ops',
    name: 'report',
    target,
    agent: 'a',
    attempt: 1,
    time,
    startedAt: time + 10,
    endedAt: time + 500,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    final: true,
    ...over,
  }
}

export const failed = (n: number, over: Partial<StoredResult> = {}) =>
  result(n, { outcome: 'Failed', exitCode: 7, reason: 'NonZeroExitCode', tail: `bad ${n}`, ...over })

/** A chunk of stdout or stderr as a launcher writes it: a header of 13 bytes, and the text. */
export function chunk(text: string | Buffer, kind: 1 | 2 = 1): Buffer {
  const data = Buffer.from(text)
  const header = Buffer.alloc(13)
  header.writeUInt8(kind, 0)
  header.writeBigUInt64BE(7n, 1)
  header.writeUInt32BE(data.length, 9)
  return Buffer.concat([header, data])
}

/** The whole output of an attempt, in one piece. */
export function outputOf(
  { uid, run, attempt }: Pick<StoredResult, 'uid' | 'run' | 'attempt'>,
  chunks: Buffer,
): OutputPiece {
  const of = { uid, run, attempt, namespace: 'ops', name: 'report', pool: 'default', agent: 'a' }
  return { ...of, offset: 0, next: chunks.length, chunks, end: true }
}
