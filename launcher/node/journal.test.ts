import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recordOf } from './entry.ts'
import { Journal, type JournalEntry } from './journal.ts'

let path: string
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'shellcron-journal-')), 'journal')
})
afterEach(() => rmSync(join(path, '..'), { recursive: true }))

const started = (id: string): JournalEntry => ({
  type: 'started',
  id,
  session: 's',
  at: 1,
  startedAt: 2,
  fenced: true,
  pid: 3,
  ticks: 4,
  boot: 'b',
})

const ended = (id: string): JournalEntry => ({
  type: 'ended',
  at: 1,
  fenced: true,
  record: recordOf(
    { id, session: 's', labels: undefined },
    { cause: { kind: 'exited', code: 0 }, endedAt: 5 },
  ),
})

const left = () =>
  new Journal(path).entries.map(entry => [entry.type, 'id' in entry ? entry.id : entry.record.id])

test('what has neither ended nor been forgotten is found again, also behind a torn line', async () => {
  const journal = new Journal(path)
  for (const id of ['a', 'b', 'c']) journal.append(started(id))
  for (const id of ['b', 'c']) journal.append(ended(id))
  journal.append({ type: 'forgotten', ids: ['c'] })
  await journal.durable()
  appendFileSync(path, '{"type":"forg')
  expect(left()).toEqual([
    ['started', 'a'],
    ['ended', 'b'],
  ])
})

test('a journal of which nothing counts any more becomes small again', async () => {
  const journal = new Journal(path)
  journal.append(started('kept'))
  for (let n = 0; n < 20_000; n++) {
    journal.append(ended(`run-${n}`))
    journal.append({ type: 'forgotten', ids: [`run-${n}`] })
  }
  await journal.durable()
  expect(statSync(path).size).toBeLessThan(4_300_000)
  expect(left()).toEqual([['started', 'kept']])
})

test('syncs that are asked for at the same time are one, and all resolve', async () => {
  const journal = new Journal(path)
  await Promise.all(
    Array.from({ length: 500 }, (_, n) => {
      journal.append(ended(`run-${n}`))
      return journal.durable()
    }),
  )
  expect(left()).toHaveLength(500)
})
