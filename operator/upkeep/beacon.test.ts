import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { silentLog } from '../../platform/log.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'
import { nextBeacon, openBeacon } from './beacon.ts'

const time = 1_000

test.each([
  ['the first beacon begins the first epoch', undefined, 0, { epoch: 1, n: 1 }],
  ['the number increases by one', { epoch: 1, n: 7 }, 7, { epoch: 1, n: 8 }],
  ['etcd may be ahead of the memory', { epoch: 1, n: 9 }, 7, { epoch: 1, n: 10 }],
  ['without a memory, the number in etcd counts', { epoch: 3, n: 9 }, 0, { epoch: 3, n: 10 }],
  ['a lower number means a restored snapshot: a new epoch', { epoch: 1, n: 5 }, 9, { epoch: 10, n: 10 }],
  ['so does an empty etcd', undefined, 40, { epoch: 41, n: 41 }],
])('%s', (_, stored, known, expected) => {
  expect(nextBeacon(stored && { ...stored, time: 0 }, known, time)).toEqual({ ...expected, time })
})

test('two restores of one snapshot begin two epochs', () => {
  const snapshot = { epoch: 1, n: 5, time: 0 }
  const first = nextBeacon(snapshot, 9, time)
  const second = nextBeacon(snapshot, first.n, time)
  expect(second.epoch).toBeGreaterThan(first.epoch)
})

test('an unavailable memory is waited for, until the term ends', async () => {
  let down = 2
  const memory = {
    async beacon() {
      if (down-- > 0) throw new Unavailable('log store: down')
      return 9
    },
    raiseBeacon: async () => undefined,
  }
  const clock = { ...systemClock, sleep: async (_: number, signal?: AbortSignal) => signal?.throwIfAborted() }
  const etcd = {
    get: async () => undefined,
    txn: async () => ({ ok: true, revision: 1, gets: [] }),
  }
  const options = { etcd, key: 'beacon', memory, clock, log: silentLog, onEpoch: () => undefined }
  expect((await openBeacon(options, new AbortController().signal)).epoch()).toBe(10)
  down = Number.POSITIVE_INFINITY
  await expect(openBeacon(options, AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
})

test('a log store that is locked between its first read and its first write is waited for', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shellcron-beacon-'))
  const file = join(dir, 'log.db')
  const store = openSqliteLogStore(file)
  const other = new DatabaseSync(file)
  const memory = {
    async beacon() {
      const n = await store.beacon()
      if (n === 0 && !other.isTransaction) other.exec('BEGIN IMMEDIATE')
      return n
    },
    raiseBeacon: (n: number) => store.raiseBeacon(n),
  }
  const clock = {
    ...systemClock,
    async sleep() {
      if (!other.isTransaction) return
      other.exec('ROLLBACK')
      memory.beacon = () => store.beacon()
    },
  }
  let mod = 0
  const etcd = { get: async () => undefined, txn: async () => ({ ok: true, revision: ++mod, gets: [] }) }
  const options = { etcd, key: 'beacon', memory, clock, log: silentLog, onEpoch: () => undefined }
  try {
    const beacon = await openBeacon(options, new AbortController().signal)
    expect(beacon.epoch()).toBe(1)
    expect(mod).toBe(2)
  } finally {
    other.close()
    await store.close()
    rmSync(dir, { recursive: true })
  }
})
