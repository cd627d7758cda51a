import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recordOf } from './entry.ts'
import { Journal, type JournalEntry } from './journal.ts'

let path: string
beforeEach(() => {
  complaints = []
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

let complaints: unknown[] = []
const open = () => new Journal(path, error => complaints.push(error))
const left = () => open().entries.map(entry => [entry.type, 'id' in entry ? entry.id : entry.record.id])
/** The next time it is rewritten the disk is full. */
const fullOnce = () => symlinkSync('/dev/full', `${path}.new`)

test('what has neither ended nor been forgotten is found again, also behind a torn line', async () => {
  const journal = open()
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
  const journal = open()
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
  const journal = open()
  await Promise.all(
    Array.from({ length: 500 }, (_, n) => {
      journal.append(ended(`run-${n}`))
      return journal.durable()
    }),
  )
  expect(left()).toHaveLength(500)
})

test.runIf(process.platform === 'linux')(
  'on a full disk it goes on with the file that is there, but for a torn line, and is rewritten when there is room',
  () => {
    const before = open()
    for (const id of ['a', 'b']) before.append(started(id))
    before.append({ type: 'forgotten', ids: ['b'] })
    appendFileSync(path, JSON.stringify(started('whole')))
    fullOnce()
    const journal = open()
    expect(journal.entries).toHaveLength(2)
    expect(existsSync(`${path}.new`)).toBe(false)
    expect(readFileSync(path, 'utf8')).toMatch(/"ids":\["b"\]}\n$/)
    fullOnce()
    journal.append(started('c'))
    expect(readFileSync(path, 'utf8')).toMatch(/"ids":\["b"\]}\n.*"id":"c".*\n$/)
    journal.append(started('d'))
    expect(readFileSync(path, 'utf8')).not.toContain('forgotten')
    expect(complaints).toMatchObject([{ code: 'ENOSPC' }])
    expect(left().map(([, id]) => id)).toEqual(['a', 'whole', 'c', 'd'])
  },
)
