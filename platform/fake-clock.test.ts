import { expect, test } from 'vitest'
import { createFakeClock } from './fake-clock.ts'

test('sleepers wake in order, each at its instant, and what follows finishes first', async () => {
  const clock = createFakeClock(1_000)
  const log: string[] = []
  const sleep = async (name: string, ms: number, then?: () => Promise<void>) => {
    await clock.sleep(ms)
    log.push(`${name} ${clock.now()}`)
    await then?.()
  }
  const all = [sleep('b', 20), sleep('a', 10, () => sleep('a2', 5)), sleep('c', 0)]
  await clock.goTo(1_019)
  expect(log).toEqual(['c 1000', 'a 1010', 'a2 1015'])
  expect(clock.now()).toBe(1_019)
  await clock.goTo(1_020)
  await Promise.all(all)
  expect(log.at(-1)).toBe('b 1020')
  expect(clock.sleeping).toBe(0)
})

test('a sleep ends with the reason of its signal', async () => {
  const clock = createFakeClock()
  const stop = new AbortController()
  const sleep = clock.sleep(10, stop.signal)
  stop.abort(new Error('enough'))
  await expect(sleep).rejects.toThrow('enough')
  await expect(clock.sleep(10, stop.signal)).rejects.toThrow('enough')
  expect(clock.sleeping).toBe(0)
})
