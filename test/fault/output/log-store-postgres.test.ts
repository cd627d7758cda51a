import { type AddressInfo, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openCheckedLogStore } from '../../../operator/startup/open-log-store.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLog } from '../../../platform/log.ts'
import type { LogStore, OutputPiece, StoredResult } from '../../../store/log/port.ts'
import { connectPostgres } from '../../../store/log/postgres/connection.ts'
import { openPostgresLogStore } from '../../../store/log/postgres/store.ts'
import { chunk, outputOf, result, T0 } from '../../contract/log-store/log-stores.ts'
import { type Postgres, startPostgres } from '../../servers/postgres.ts'
import { eventually } from '../eventually.ts'
import { type Proxy, startProxy } from '../proxy.ts'

let postgres: Postgres
let proxy: Proxy
let databases = 0
let opened: LogStore[]
let url: string
beforeAll(async () => {
  postgres = await startPostgres()
  proxy = await startProxy(postgres)
})
afterAll(async () => {
  await proxy?.close()
  await postgres?.remove()
})
beforeEach(async () => {
  proxy.set({ kind: 'pass' })
  opened = []
  url = (await postgres.database(`f${++databases}`)).replace(`:${postgres.port}/`, `:${proxy.port}/`)
})
afterEach(async () => {
  proxy.set({ kind: 'refuse' })
  proxy.cut()
  await Promise.all(opened.map(store => store.close()))
})

function open(statementMs = 10_000): LogStore {
  const store = openPostgresLogStore({ url, statementMs, password: async () => postgres.password })
  opened.push(store)
  return store
}

const DAY = 86_400_000
const SAID = chunk('x')
const times = (from: number, count: number) => Array.from({ length: count }, (_, n) => result(from + n))
const unavailable = expect.objectContaining({ name: 'Unavailable' })

test('operators that start at once create one schema, and results that all of them store are stored once', async () => {
  const stores = [open(), open(), open()]
  const targets = Array.from({ length: 40 }, (_, n) => `t${n}`)
  const all = targets.map(target => result(1, { target, outcome: 'Failed' }))
  await Promise.all(stores.map((store, n) => store.record(n === 1 ? all.toReversed() : all)))
  const { rows } = await open().history({ limit: 1_000 })
  expect(rows).toHaveLength(40)
  const [fire] = await open().recent({ kind: 'job', uid: 'u1' }, { succeeded: 1, failed: 1 })
  expect(fire?.targets).toEqual({ succeeded: 0, failed: 40, missed: 0 })
  expect(fire?.failedTargets).toEqual(targets.toSorted().slice(0, 10))
})

test("targets of one fire that different operators store add up, in every day's partition", async () => {
  const stores = [open(), open(), open(), open()]
  const days = Array.from({ length: 5 }, (_, day) => T0 + day * DAY)
  await Promise.all(
    Array.from({ length: 80 }, async (_, n) =>
      stores[n % 4]?.record(days.map(time => result(0, { time, target: `t${n}` }))),
    ),
  )
  const fires = await open().recent({ kind: 'job', uid: 'u1' }, { succeeded: 20, failed: 20 })
  expect(fires.map(({ targets }) => targets.succeeded)).toEqual(days.map(() => 80))
})

test('pieces of one output that several operators store at once make one output', async () => {
  const of = { uid: 'u1', run: 'ops.report.1', attempt: 1 }
  const whole = Array.from({ length: 30 }, (_, n): OutputPiece => {
    const [offset, next] = [n * SAID.length, (n + 1) * SAID.length]
    return { ...outputOf(of, SAID), offset, next, end: false }
  })
  await Promise.all([open(), open(), open()].map(store => store.storeOutput(whole)))
  const { pieces, next } = await open().output(of, 0, 1_000_000)
  expect(pieces).toHaveLength(30)
  expect(next).toBe(30 * SAID.length)
})

test('many operators that store output on a new day do not deadlock', async () => {
  const store = open()
  await store.beacon()
  const runs = Array.from({ length: 40 }, (_, n) => `ops.report.${n}`)
  const stored = await Promise.all(
    runs.map(run => store.storeOutput([{ ...outputOf({ uid: 'u1', run, attempt: 1 }, SAID), end: false }])),
  )
  expect(stored.flat()).toEqual(runs.map(() => SAID.length))
})

test("commits wait for the disk, even if the database's default does not", async () => {
  const database = `f${databases}`
  await postgres.ask(`ALTER DATABASE ${database} SET synchronous_commit = off`)
  await open().beacon()
  await postgres.ask(
    `CREATE TABLE seen AS SELECT '' AS setting;
     CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN UPDATE seen SET setting = current_setting('synchronous_commit'); RETURN NULL; END $$;
     CREATE TRIGGER see AFTER INSERT ON facts EXECUTE FUNCTION see()`,
    database,
  )
  await open().raiseBeacon(1)
  expect(await postgres.ask('SELECT setting FROM seen', database)).toEqual([{ setting: 'on' }])
})

test('a killed server is unavailable, and acknowledged results are there when it returns', async () => {
  const store = open()
  await store.record(times(0, 10))
  await postgres.kill()
  await expect(store.record(times(10, 10))).rejects.toEqual(unavailable)
  await expect(store.history({ limit: 10 })).rejects.toEqual(unavailable)
  await postgres.start()
  await store.record(times(10, 10))
  expect((await store.history({ limit: 100 })).rows).toHaveLength(20)
})

test('a server that is shut down during writes is unavailable, and loses nothing that it acknowledged', async () => {
  const store = open()
  await store.record(times(0, 1))
  const acknowledged: StoredResult[] = []
  const writing = (async () => {
    for (let n = 1; ; n++) {
      await store.record([result(n)])
      acknowledged.push(result(n))
    }
  })()
  await eventually('something was written', () => acknowledged.length > 5)
  await Promise.all([expect(writing).rejects.toEqual(unavailable), postgres.stop()])
  await postgres.start()
  const { rows } = await store.history({ limit: 1_000 })
  const there = new Set(rows.map(({ run }) => run))
  expect(acknowledged.filter(({ run }) => !there.has(run))).toEqual([])
})

test('a connection that is cut at any byte is unavailable; a retry stores results once', async () => {
  const store = open()
  await store.record(times(0, 1))
  for (const bytes of [0, 30, 100, 150, 200, 300, 500, 800]) {
    proxy.cut()
    proxy.set({ kind: 'cut-answers', bytes })
    await store.record(times(0, 20)).catch(error => expect(error).toEqual(unavailable))
  }
  proxy.set({ kind: 'pass' })
  await eventually('it is stored', () =>
    store.record(times(0, 20)).then(
      () => true,
      () => false,
    ),
  )
  expect((await store.history({ limit: 100 })).rows).toHaveLength(20)
  const fires = await store.recent({ kind: 'job', uid: 'u1' }, { succeeded: 20, failed: 20 })
  expect(fires.map(({ targets }) => targets.succeeded)).toEqual(times(0, 20).map(() => 1))
})

test('a server that stops answering, and a statement that takes too long, are unavailable', async () => {
  const store = open(500)
  await store.record(times(0, 1))
  const locked = postgres.ask('BEGIN; LOCK results; SELECT pg_sleep(3); COMMIT', `f${databases}`)
  await eventually('it waits for the lock', () =>
    store.record(times(0, 1)).then(
      () => false,
      error => error.name === 'Unavailable',
    ),
  )
  await locked
  await store.record(times(1, 1))
  proxy.set({ kind: 'blackhole' })
  await expect(store.record(times(2, 1))).rejects.toEqual(unavailable)
  proxy.cut()
  proxy.set({ kind: 'pass' })
  await store.record(times(2, 1))
  expect((await store.history({ limit: 100 })).rows).toHaveLength(3)
})

test('a wrong password and a missing database are unavailable, and the message has no password', async () => {
  const wrong = openPostgresLogStore({ url, password: async () => 'not-this-one' })
  opened.push(wrong)
  const error = await wrong.beacon().catch((error: unknown) => error)
  expect(error).toEqual(unavailable)
  expect(String(error)).not.toContain('not-this-one')
  url = url.replace(/\w+$/, 'absent')
  await expect(open().beacon()).rejects.toEqual(unavailable)
})

test("output continues after its day's partition was dropped; without rights no output is unstorable", async () => {
  const store = open()
  const piece = outputOf({ uid: 'u1', run: 'ops.report.1', attempt: 1 }, SAID)
  await store.storeOutput([{ ...piece, next: 0, chunks: Buffer.alloc(0), end: false }])
  const database = `f${databases}`
  await postgres.ask(`UPDATE outputs SET at = at - ${5 * DAY}`, database)
  expect(await store.storeOutput([piece])).toEqual([SAID.length])
  const partitions = () =>
    postgres.ask(`SELECT 1 FROM pg_inherits WHERE inhparent = 'output_pieces'::regclass`, database)
  const before = (await partitions()).length
  while (await store.prune({ outputBytes: 0, isLiving: () => true }));
  expect((await partitions()).length).toBeLessThan(before)
  await postgres.ask(`UPDATE outputs SET expired = 0, ended = 0`, database)
  const next = { ...piece, offset: SAID.length, next: 2 * SAID.length }
  expect(await store.storeOutput([next])).toEqual([2 * SAID.length])
  await postgres.ask('ALTER TABLE results RENAME TO away', database)
  await expect(store.record(times(0, 1))).rejects.toEqual(unavailable)
})

test('a schema of a newer version is refused with a remedy', async () => {
  await open().beacon()
  await postgres.ask('UPDATE schema_version SET version = 1000', `f${databases}`)
  const refused = expect.objectContaining({
    name: 'InvalidInput',
    message: expect.stringMatching(/schema 1000.*supports schemas up to \d+: upgrade shellcron/) as string,
  })
  await expect(open().ready()).rejects.toEqual(refused)
  await expect(open().beacon()).rejects.toEqual(refused)
})

test('the startup packet has no setting that a pooler refuses; settings follow later', async () => {
  const first = Promise.withResolvers<Buffer>()
  const listener = createServer(socket => {
    socket.once('data', packet => {
      first.resolve(packet)
      socket.destroy()
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  url = url.replace(`:${proxy.port}/`, `:${port}/`)
  await expect(open().ready()).rejects.toEqual(unavailable)
  listener.close()
  // After the length and the version come names and values.
  const said = (await first.promise).subarray(8).toString().split('\0')
  const names = said.filter((name, n) => n % 2 === 0 && name !== '')
  expect(names.toSorted()).toEqual(['application_name', 'client_encoding', 'database', 'user'])

  const connection = connectPostgres({
    url: `postgres://shellcron@127.0.0.1:${postgres.port}/f${databases}`,
    password: async () => postgres.password,
    statementMs: 7_000,
  })
  await postgres.ask(`ALTER DATABASE f${databases} SET synchronous_commit = off`)
  for (const [setting, value] of Object.entries({
    statement_timeout: '7s',
    jit: 'off',
    synchronous_commit: 'on',
  }))
    expect((await connection.execute(`SHOW ${setting}`)).rows).toEqual([{ [setting]: value }])
  await connection.close()
})

test('a database that does not answer at the start is tried again, and refused if its schema turns out to be newer', async () => {
  await open().ready()
  const [known] = await postgres.ask('SELECT version FROM schema_version', `f${databases}`)
  await postgres.ask('UPDATE schema_version SET version = 1000', `f${databases}`)
  proxy.set({ kind: 'refuse' })
  const stop = new AbortController()
  const config = { kind: 'postgres', url, passwordFile: postgres.passwordFile } as const
  const clock = { ...systemClock, sleep: (_: number, until?: AbortSignal) => systemClock.sleep(50, until) }
  const of = { stateDir: '/nowhere', clock, log: silentLog }
  const { logStore, checked: settled } = await openCheckedLogStore(config, of, stop.signal)
  opened.push(logStore)
  proxy.set({ kind: 'pass' })
  await expect(settled).rejects.toMatchObject({ name: 'InvalidInput', field: 'log store' })
  await expect(openCheckedLogStore(config, of, stop.signal)).rejects.toMatchObject({ name: 'InvalidInput' })
  await postgres.ask(`UPDATE schema_version SET version = ${known?.version}`, `f${databases}`)
  const good = await openCheckedLogStore(config, of, stop.signal)
  opened.push(good.logStore)
  await good.checked
})
