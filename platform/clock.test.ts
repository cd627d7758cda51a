import { expect, test } from 'vitest'
import { deadline, systemClock } from './clock.ts'

test('a sleep ends with the reason of its signal', async () => {
  const stop = new AbortController()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort(new Error('stopped'))
  await expect(sleeping).rejects.toThrow('stopped')
})

test('a sleep that is longer than the longest timer does not end at once', async () => {
  const stop = new AbortController()
  const sleeping = systemClock.sleep(40 * 24 * 3_600_000, stop.signal).then(
    () => 'ended',
    () => 'still asleep',
  )
  await systemClock.sleep(20)
  stop.abort(new Error('stopped'))
  expect(await sleeping).toBe('still asleep')
})

test('a deadline aborts its signal', async () => {
  const { signal } = deadline(1)
  await expect(systemClock.sleep(60_000, signal)).rejects.toThrow('no answer within 1 ms')
})
