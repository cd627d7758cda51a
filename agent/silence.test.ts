import { expect, test } from 'vitest'
import { createFakeClock } from '../runtime/fake-clock.ts'
import { silentLog } from '../runtime/log.ts'
import { watchSilence } from './silence.ts'

test('a launcher is silent while what it should have started half a minute ago has not, and no longer', async () => {
  const clock = createFakeClock(1_000_000)
  const due = clock.now()
  let waits = 1
  const runs = { unstarted: (before: number) => (due < before ? waits : 0) }
  const ending = new AbortController()
  const told: boolean[] = []
  const watching = watchSilence({ runs, clock, log: silentLog }, ending.signal, is => told.push(is))
  await clock.goTo(clock.now() + 25_000)
  expect(told).not.toContain(true)
  await clock.goTo(clock.now() + 15_000)
  expect(told.at(-1)).toBe(true)
  waits = 0
  await clock.goTo(clock.now() + 10_000)
  expect(told.at(-1)).toBe(false)
  waits = 1
  await clock.goTo(clock.now() + 10_000)
  expect(told.at(-1)).toBe(true)
  ending.abort()
  await watching
  expect(told.at(-1)).toBe(false)
})
