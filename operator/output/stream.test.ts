import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chunksOf } from '../../core/output/chunks.ts'
import { createFakeClock } from '../../platform/fake-clock.ts'
import type { LogStore } from '../../store/log/port.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'
import { chunk, outputOf } from '../../test/contract/log-store/log-stores.ts'
import { createOutputNotifier } from '../ingest/output-notifier.ts'
import { streamOf } from './stream.ts'

const attempt = { uid: 'u1', run: 'ops.report.1', attempt: 1 }
let dir: string
let store: LogStore
const stop = new AbortController()
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-stream-'))
  store = openSqliteLogStore(join(dir, 'log.db'))
})
afterEach(async () => {
  await store.close()
  await rm(dir, { recursive: true })
})

/** Follows the attempt. `now.asked`: how often the log store was asked. */
function following() {
  const clock = createFakeClock(0)
  const notifier = createOutputNotifier()
  const now = { isGoing: true, asked: 0, said: '', ended: undefined as boolean | undefined }
  const counted: Pick<LogStore, 'output'> = {
    output: (...of) => {
      now.asked++
      return store.output(...of)
    },
  }
  const of = { store: counted, notifier, clock, attempt, from: 0, follow: true, isGoing: () => now.isGoing }
  const read = async () => {
    for await (const part of streamOf(of, stop.signal))
      for (const each of chunksOf(part))
        if (each.stream === 'stop') now.ended = each.ended
        else if (each.stream === 'stdout') now.said += Buffer.from(each.data).toString()
  }
  const done = read()
  const came = async (text: string, end: boolean) => {
    const piece = outputOf(attempt, chunk(text))
    const offset = (await store.outputs(attempt))[0]?.stored ?? 0
    await store.storeOutput([{ ...piece, offset, next: offset + piece.next, end }])
    notifier.notify(attempt.run)
  }
  return { clock, now, came, done }
}

test('the log store is asked rarely about a silent attempt, and at once after a notification', async () => {
  const { clock, now, came, done } = following()
  await clock.goTo(300_000)
  expect(now.asked).toBeLessThanOrEqual(11)
  await came('one', false)
  await clock.goTo(300_001)
  expect(now.said).toBe('one')
  await came(' two', true)
  await clock.goTo(300_002)
  await done
  expect(now).toMatchObject({ said: 'one two', ended: true })
})

test('output without a notification is found all the same', async () => {
  const { clock, now } = following()
  await clock.goTo(1_000)
  await store.storeOutput([outputOf(attempt, chunk('quiet'))])
  await clock.goTo(31_000)
  expect(now).toMatchObject({ said: 'quiet', ended: true })
})

test('an ended attempt without further output is given up after a while', async () => {
  const { clock, now, came, done } = following()
  await clock.goTo(10_000)
  now.isGoing = false
  await clock.goTo(20_000)
  expect(now.ended).toBeUndefined()
  await came('late', false)
  await clock.goTo(34_000)
  expect(now).toMatchObject({ said: 'late', ended: undefined })
  await clock.goTo(40_000)
  await done
  expect(now.ended).toBe(false)
})
