import { expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import type { BatchItem } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'
import { createUnknownAttempts } from './unknown-attempts.ts'

const DAY_MS = 86_400_000
const signal = new AbortController().signal
const attempt = { uid: 'u', run: 'ns.job.1', attempt: 1, namespace: 'ns', name: 'job' }
const piece: BatchItem['piece'] = { ...attempt, offset: 5, next: 9, chunks: new Uint8Array(4) }
const launch = (id: string): Launch => ({
  id,
  attempt,
  record: undefined,
  isRunning: false,
  resultRecorded: false,
  acknowledged: false,
  storedOffset: 5,
  storedBytes: 5,
})
const lossAt = (at: number): Loss => ({ ...attempt, launch: 'l', total: 9, at })

function setUp() {
  const slept: number[] = []
  const retried: string[] = []
  let wake = () => {}
  const clock = {
    now: () => 2 * DAY_MS,
    monotonic: () => 0,
    sleep: (ms: number) => {
      slept.push(ms)
      return new Promise<void>(resolve => (wake = resolve))
    },
  }
  const unknownAttempts = createUnknownAttempts({
    clock,
    log: silentLog,
    random: () => 1,
    onRetry: launches => retried.push(...launches.map(({ id }) => id)),
  })
  return { unknownAttempts, slept, retried, wake: () => wake() }
}

test('delays double up to a minute; a new attempt does not wait for the delay of an old one', () => {
  const { unknownAttempts, slept } = setUp()
  const old = launch('old')
  for (let n = 0; n < 10; n++) unknownAttempts.retryLater([{ source: { launch: old }, piece }], signal)
  expect(slept).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  unknownAttempts.retryLater(
    [old, launch('new')].map(one => ({ source: { launch: one }, piece })),
    signal,
  )
  expect(slept.at(-1)).toBe(250)
})

test('a retry asks for the stored position; a loss is pending until then', async () => {
  const { unknownAttempts, retried, wake } = setUp()
  const [one, loss] = [launch('one'), lossAt(2 * DAY_MS)]
  unknownAttempts.retryLater(
    [
      { source: { launch: one }, piece },
      { source: { loss }, piece },
    ],
    signal,
  )
  expect([one.storedOffset, unknownAttempts.pendingLosses.has(loss), retried]).toEqual([undefined, true, []])
  wake()
  await expect.poll(() => retried).toEqual(['one'])
  expect(unknownAttempts.pendingLosses.size).toBe(0)
})

test('a loss of a run that ended a day ago is not retried; output always is', () => {
  const { unknownAttempts } = setUp()
  expect(unknownAttempts.mayBecomeKnown({ loss: lossAt(DAY_MS + 1) })).toBe(true)
  expect(unknownAttempts.mayBecomeKnown({ loss: lossAt(DAY_MS) })).toBe(false)
  expect(unknownAttempts.mayBecomeKnown({ launch: launch('x') })).toBe(true)
})
