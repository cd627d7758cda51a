import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Unavailable } from '../../../platform/errors.ts'
import { openSqliteLogStore } from './store.ts'

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shellcron-sqlite-'))
  file = join(dir, 'log.db')
})
afterEach(() => rmSync(dir, { recursive: true }))

test('a file that another process has locked is opened once the lock is released', async () => {
  await openSqliteLogStore(file).close()
  const other = new DatabaseSync(file)
  other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  const store = openSqliteLogStore(file)
  await expect(store.ready()).rejects.toThrow(/^log store .*: database is locked$/)
  await expect(store.raiseBeacon(4)).rejects.toBeInstanceOf(Unavailable)
  other.close()
  await store.ready()
  await store.raiseBeacon(5)
  expect(await store.beacon()).toBe(5)
  await store.close()
  await expect(store.beacon()).rejects.toBeInstanceOf(Unavailable)
})

test('a fault that somebody has to fix is thrown at once', () => {
  expect(() => openSqliteLogStore(join(dir, 'no', 'such', 'folder', 'log.db'))).toThrow(Unavailable)
  writeFileSync(file, 'this is no database, and was never one'.repeat(100))
  expect(() => openSqliteLogStore(file)).toThrow(/^log store .*: file is not a database$/)
})
