import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeys, type Keys } from '../../../core/keys.ts'
import type { Result } from '../../../core/records/state.ts'
import { createDrain, type Drain } from '../../../operator/upkeep/drain-outbox.ts'
import { systemClock } from '../../../platform/clock.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { type Log, silentLog } from '../../../platform/log.ts'
import type { LogStore, StoredResult } from '../../../store/log/port.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { eventually } from '../../fault/eventually.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'

const { cluster, etcd } = etcdForAll()
let dir: string
let keys: Keys
let store: LogStore
let tests = 0
const running: { stop(): Promise<void> }[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-drain-'))
  keys = createKeys(`/drain${++tests}/`)
  store = openSqliteLogStore(join(dir, 'log.db'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(one => one.stop()))
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

function result(n: number, over: Partial<Result> = {}): Result {
  return {
    run: `ops.report.${n}`,
    kind: 'job',
    uid: 'u1',
    generation: 1,
    namespace: 'ops',
    name: 'report',
    target: '-',
    agent: 'a',
    attempt: 1,
    time: n,
    endedAt: n + 5,
    outcome: 'Succeeded',
    exitCode: 0,
    final: true,
    ...over,
  }
}

async function put(...results: Result[]): Promise<void> {
  const txns = results.map(one => ({
    compare: [],
    then: [{ put: keys.result('default', one.run, one.attempt), value: JSON.stringify(one) }],
  }))
  await etcd.batch(txns)
}

const putRaw = (key: string, value: string) => etcd.txn({ compare: [], then: [{ put: key, value }] })
const outbox = async () => (await etcd.list(keys.results)).items
const rows = async (of: LogStore = store) => (await of.history({ limit: 1_000 })).rows
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

function drain(over: Partial<Parameters<typeof createDrain>[0]> = {}): Drain & { told: StoredResult[] } {
  const told: StoredResult[] = []
  const one = createDrain({
    etcd,
    keys,
    store,
    clock: systemClock,
    log: silentLog,
    onOutcome: result => told.push(result),
    ...over,
  })
  const stop = new AbortController()
  const done = one.run(stop.signal)
  running.push({
    async stop() {
      stop.abort()
      await done
    },
  })
  return Object.assign(one, { told })
}

test('existing and new results are stored, reported and then deleted', async () => {
  await put(...numbers(250).map(n => result(n)))
  const one = drain()
  await eventually('the first ones', () => one.stored === 250)
  await put(result(251, { outcome: 'Failed', tail: 'bad' }))
  await eventually('an empty outbox', async () => (await outbox()).length === 0)
  expect(await rows()).toHaveLength(251)
  expect((await rows())[0]).toEqual({ ...result(251, { outcome: 'Failed', tail: 'bad' }), pool: 'default' })
  expect(one.told.map(({ time }) => time).sort((a, b) => a - b)).toEqual(numbers(251))
  await eventually('nothing waits', () => one.waiting === 0)
})

test('an unreadable result is kept, logged once and counted, and blocks no other', async () => {
  const logged: unknown[] = []
  const log: Log = { ...silentLog, error: (facts: unknown) => logged.push(facts), child: () => log }
  const foreign = keys.result('default', 'ops.report.77', 1)
  const bad = [keys.result('default', 'x', 1), keys.result('default', 'y', 1), `${keys.results}odd`, foreign]
  await putRaw(bad[0] ?? '', 'not json')
  await putRaw(bad[1] ?? '', '{"run":"y"}')
  await putRaw(bad[2] ?? '', JSON.stringify(result(1)))
  await putRaw(foreign, JSON.stringify(result(78)))
  await put(result(1), result(2))
  const one = drain({ log })
  await eventually('the others', async () => one.stored === 2 && (await outbox()).length === 4)
  await put(result(3))
  await eventually('one more', async () => one.stored === 3 && (await outbox()).length === 4)
  expect((await outbox()).map(({ key }) => key).sort()).toEqual(bad.toSorted())
  expect(one.kept).toBe(4)
  expect(logged).toHaveLength(4)
  await putRaw(foreign, JSON.stringify(result(77)))
  await eventually('mended, it is stored', () => one.stored === 4 && one.kept === 3)
})

test('a result that the store refuses for good does not block the others of its batch', async () => {
  await put(result(1), result(2, { time: 2.5 }), result(3))
  const one = drain()
  await eventually('the others', async () => (await outbox()).length === 1)
  expect((await rows()).map(({ time }) => time)).toEqual([3, 1])
  expect(one.kept).toBe(1)
})

test('while the store does not answer, results stay in the outbox', async () => {
  let down = true
  let tries = 0
  const flaky: Pick<LogStore, 'record'> = {
    async record(results) {
      tries++
      if (down) throw new Unavailable('disk full')
      await store.record(results)
    },
  }
  await put(result(1), result(2))
  const one = drain({ store: flaky })
  await eventually('several tries', () => tries >= 3)
  expect(await outbox()).toHaveLength(2)
  expect(one.told).toEqual([])
  down = false
  await eventually('an empty outbox', async () => (await outbox()).length === 0)
  expect(await rows()).toHaveLength(2)
})

test('if only the deletion fails it is retried, and nothing is stored or reported twice', async () => {
  let fails = 2
  let records = 0
  const one = drain({
    store: {
      record: results => {
        records++
        return store.record(results)
      },
    },
    etcd: {
      view: prefix => etcd.view(prefix),
      async batch(txns, signal) {
        if (fails-- > 0) return txns.map(() => ({ ambiguous: new Unavailable('no answer') }))
        return await etcd.batch(txns, signal)
      },
    },
  })
  await put(result(1))
  await eventually('an empty outbox', async () => fails < 0 && (await outbox()).length === 0)
  expect(records).toBe(1)
  expect(one.told).toHaveLength(1)
})

test('while nothing can be stored the reason is logged, and afterwards the recovery', async () => {
  const said: (string | undefined)[] = []
  let isAway = true
  drain({
    store: {
      async record(results) {
        if (isAway) throw new Unavailable('log store: it is locked')
        await store.record(results)
      },
    },
    onTrouble: why => said.push(why),
  })
  await put(result(1))
  await eventually('it reports that', () => said[0])
  expect(said[0]).toBe('results cannot be stored for now, and wait in etcd: log store: it is locked')
  isAway = false
  await eventually('an empty outbox', async () => (await outbox()).length === 0)
  await eventually('it is over', () => said.at(-1) === undefined)
  expect(await rows()).toHaveLength(1)
})

test('a result that is put again between storing and deleting is not deleted unread', async () => {
  let again = true
  const one = drain({
    store: {
      async record(results) {
        await store.record(results)
        if (again) await put(result(1, { attempt: 1, message: 'again' }))
        again = false
      },
    },
  })
  await put(result(1))
  await eventually('both were seen', async () => one.stored === 2 && (await outbox()).length === 0)
  expect(await rows()).toEqual([{ ...result(1), pool: 'default' }])
})

test('an old leader and its successor that drain at once store each result once', async () => {
  const other = openSqliteLogStore(join(dir, 'log.db'))
  const [a, b] = [drain(), drain({ store: other })]
  for (const n of numbers(20)) await put(...numbers(10).map(i => result(n * 100 + i)))
  await eventually('an empty outbox', async () => (await outbox()).length === 0)
  await eventually('nothing waits', () => a.waiting + b.waiting === 0)
  expect(await rows()).toHaveLength(200)
  const [fire] = await store.recent({ kind: 'job', uid: 'u1' }, { succeeded: 1, failed: 1 })
  expect(fire?.targets).toEqual({ succeeded: 1, failed: 0, missed: 0 })
  await other.close()
})

describe('an operator that is killed', () => {
  const script = fileURLToPath(new URL('../../fixtures/drain-process.ts', import.meta.url))

  test.each([
    ['before', 0, 30],
    ['stored', 30, 30],
    ['deleted', 30, 29],
  ])(
    'at "%s" leaves %i rows and %i results, and its successor stores each result once',
    async (point, there, left) => {
      await put(...numbers(30).map(n => result(n)))
      const args = [script, cluster.endpoints[0] ?? '', keys.prefix, join(dir, 'log.db'), point]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      const ended = once(child, 'exit')
      try {
        await once(child.stdout, 'data')
      } finally {
        child.kill('SIGKILL')
        await ended
      }
      expect(await rows()).toHaveLength(there)
      expect(await outbox()).toHaveLength(left)
      drain()
      await eventually('an empty outbox', async () => (await outbox()).length === 0)
      expect((await rows()).map(({ time }) => time)).toEqual(numbers(30).toReversed())
      const fires = await store.recent({ kind: 'job', uid: 'u1' }, { succeeded: 40, failed: 1 })
      expect(fires.every(({ targets }) => targets.succeeded === 1)).toBe(true)
    },
  )
})
