import { expect, test } from 'vitest'
import { createFakeClock } from './fake-clock.ts'
import { giveBackMemory, usesLittleCpu } from './garbage-collection.ts'

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

test('a process that used a tenth of a core since the last look is not quiet', async () => {
  const clock = createFakeClock()
  let usedMs = 0
  const usage = () => ({ user: usedMs * 500, system: usedMs * 500 })
  const isQuiet = usesLittleCpu(clock, { usage })
  const after = async (ms: number, used: number) => {
    await clock.goTo(clock.now() + ms)
    usedMs += used
    return isQuiet()
  }
  expect(await after(15_000, 100)).toBe(true)
  expect(await after(15_000, 1_500)).toBe(false)
  expect(await after(15_000, 0)).toBe(true)
})
