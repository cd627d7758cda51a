import { expect, test } from 'vitest'
import { createFakeClock } from './fake-clock.ts'
import { giveBackMemory } from './garbage-collection.ts'

test('unused memory is collected when the process is idle, and not before', async () => {
  const clock = createFakeClock()
  const stop = new AbortController()
  let quiet = false
  const running = giveBackMemory(clock, () => quiet, stop.signal)
  let held: object | undefined = { blob: Array.from({ length: 2_000_000 }, (_, i) => ({ i })) }
  const ref = new WeakRef(held)
  held = undefined
  await clock.goTo(15_000)
  quiet = true
  for (let i = 0; i < 20 && ref.deref(); i++) {
    await clock.goTo((i + 2) * 15_000)
    await new Promise(setImmediate)
  }
  expect(ref.deref()).toBeUndefined()
  stop.abort()
  await running
})
