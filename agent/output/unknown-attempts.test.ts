import { expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import type { Sending } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'
import { createUnknownAttempts } from './unknown-attempts.ts'

const DAY_MS = 86_400_000
const signal = new AbortController().signal
const attempt = { uid: 'u', run: 'ns.job.1', attempt: 1, namespace: 'ns', name: 'job' }
const piece: Sending['piece'] = { ...attempt, offset: 5, next: 9, chunks: new Uint8Array(4) }
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

function waiting() {
  const slept: number[] = []
  const again: string[] = []
  let wake = () => {}
  const clock = {
    now: () => 2 * DAY_MS,
    monotonic: () => 0,
    sleep: (ms: number) => {
      slept.push(ms)
      return new Promise<void>(resolve => (wake = resolve))
    },
  }
  const patience = createUnknownAttempts({
    clock,
    log: silentLog,
    random: () => 1,
    again: launches => again.push(...launches.map(({ id }) => id)),
  })
  return { patience, slept, again, wake: () => wake() }
}

test('each time it waits longer, up to a minute; who is new does not wait for who has waited long', () => {
  const { patience, slept } = waiting()
  const old = launch('old')
  for (let n = 0; n < 10; n++) patience.wait([{ of: { launch: old }, piece }], signal)
  expect(slept).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  patience.wait(
    [old, launch('new')].map(one => ({ of: { launch: one }, piece })),
    signal,
  )
  expect(slept.at(-1)).toBe(250)
})

test('what waits is asked about from its beginning; a loss rests meanwhile', async () => {
  const { patience, again, wake } = waiting()
  const [one, loss] = [launch('one'), lossAt(2 * DAY_MS)]
  patience.wait(
    [
      { of: { launch: one }, piece },
      { of: { loss }, piece },
    ],
    signal,
  )
  expect([one.storedOffset, patience.resting.has(loss), again]).toEqual([undefined, true, []])
  wake()
  await expect.poll(() => again).toEqual(['one'])
  expect(patience.resting.size).toBe(0)
})

test('a loss of a run that ended a day ago is not waited for any more; output always is', () => {
  const { patience } = waiting()
  expect(patience.isAwaited({ loss: lossAt(DAY_MS + 1) })).toBe(true)
  expect(patience.isAwaited({ loss: lossAt(DAY_MS) })).toBe(false)
  expect(patience.isAwaited({ launch: launch('x') })).toBe(true)
})
