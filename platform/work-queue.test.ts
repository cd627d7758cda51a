import { expect, test } from 'vitest'
import { systemClock } from './clock.ts'
import { Unavailable } from './errors.ts'
import { createFakeClock } from './fake-clock.ts'
import { silentLog } from './log.ts'
import { type Again, createQueue } from './work-queue.ts'

function working(reconcile: (key: string, signal: AbortSignal) => Promise<Again>, concurrency = 2) {
  const stop = new AbortController()
  const queue = createQueue({ name: 'test', concurrency, clock: systemClock, log: silentLog, reconcile })
  const done = queue.run(stop.signal)
  return {
    queue,
    async stop() {
      stop.abort()
      await done
    },
  }
}

/** Waits for a condition. The test's own deadline limits the wait. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(1)
}

test('a key added many times while it waits is reconciled once', async () => {
  const seen: string[] = []
  const { queue, stop } = working(async key => void seen.push(key))
  for (let i = 0; i < 5; i++) queue.add('a')
  queue.add('b')
  await until(() => seen.length === 2 && queue.depth === 0)
  expect(seen.sort()).toEqual(['a', 'b'])
  await stop()
})

test('a key added while it is reconciled is reconciled again afterwards, never at the same time', async () => {
  let inWork = 0
  let most = 0
  let rounds = 0
  const gate = Promise.withResolvers<void>()
  const { queue, stop } = working(async () => {
    most = Math.max(most, ++inWork)
    rounds++
    await gate.promise
    inWork--
    return undefined
  })
  queue.add('a')
  await until(() => rounds === 1)
  queue.add('a')
  queue.add('a')
  gate.resolve()
  await until(() => rounds === 2 && queue.depth === 0)
  expect({ most, rounds }).toEqual({ most: 1, rounds: 2 })
  await stop()
})

test('no more keys are reconciled at a time than allowed', async () => {
  let inWork = 0
  let most = 0
  let done = 0
  const { queue, stop } = working(async () => {
    most = Math.max(most, ++inWork)
    await systemClock.sleep(1)
    inWork--
    done++
    return undefined
  }, 3)
  for (let i = 0; i < 20; i++) queue.add(`k${i}`)
  await until(() => done === 20)
  expect(most).toBe(3)
  await stop()
})

test('a key that fails is retried until it succeeds', async () => {
  let tries = 0
  const { queue, stop } = working(async () => {
    if (++tries < 4) throw new Unavailable('not yet')
    return undefined
  })
  queue.add('a')
  await until(() => tries === 4)
  await stop()
})

test('a key that asks to come back comes back by itself', async () => {
  let tries = 0
  const { queue, stop } = working(async () => (++tries < 3 ? { inMs: 1 } : undefined))
  queue.add('a')
  await until(() => tries === 3)
  await stop()
})

test('stopping waits for work in progress, and starts no more', async () => {
  const gate = Promise.withResolvers<void>()
  const seen: string[] = []
  const { queue, stop } = working(async key => {
    seen.push(key)
    await gate.promise
    return undefined
  }, 1)
  queue.add('a')
  queue.add('b')
  await until(() => seen.length === 1)
  const stopped = stop()
  gate.resolve()
  await stopped
  expect(seen).toEqual(['a'])
})

test('a final fault is not retried; the key is reconciled again when it is added', async () => {
  let tries = 0
  const clock = createFakeClock()
  const stop = new AbortController()
  const queue = createQueue({
    name: 'test',
    concurrency: 1,
    clock,
    log: silentLog,
    reconcile: async () => {
      tries++
      throw new RangeError('wrong input')
    },
    isFinal: error => error instanceof RangeError,
  })
  const done = queue.run(stop.signal)
  queue.add('a')
  await clock.goTo(3_600_000)
  expect({ tries, sleeping: queue.sleeping }).toEqual({ tries: 1, sleeping: 0 })
  queue.add('a')
  await clock.goTo(7_200_000)
  expect(tries).toBe(2)
  stop.abort()
  await done
})

test('a key comes back at the wall-clock instant that it asked for', async () => {
  const clock = createFakeClock(1_000_000)
  const stop = new AbortController()
  const seen: number[] = []
  const queue = createQueue({
    name: 'test',
    concurrency: 1,
    clock,
    time: 'wall',
    log: silentLog,
    reconcile: async () => {
      seen.push(clock.now())
      return seen.length === 1 ? { at: 1_600_000 } : undefined
    },
  })
  const done = queue.run(stop.signal)
  queue.add('a')
  await clock.goTo(1_599_000)
  expect(seen).toEqual([1_000_000])
  await clock.goTo(1_700_000)
  expect(seen).toEqual([1_000_000, 1_600_000])
  stop.abort()
  await done
})

test('the earlier instant stays, and a removed key does not come back', async () => {
  const clock = createFakeClock()
  const stop = new AbortController()
  const seen: string[] = []
  const queue = createQueue({
    name: 'test',
    concurrency: 1,
    clock,
    log: silentLog,
    reconcile: async key => {
      seen.push(`${key} ${clock.monotonic()}`)
      return undefined
    },
  })
  const done = queue.run(stop.signal)
  queue.addAfter('a', 100)
  queue.addAfter('a', 5_000)
  queue.addAfter('b', 100)
  expect(queue.has('b')).toBe(true)
  queue.remove('b')
  expect(queue.has('b')).toBe(false)
  await clock.goTo(10_000)
  expect(seen).toEqual(['a 100'])
  stop.abort()
  await done
})

test('keys in backoff come back at once when what they failed for is there again', async () => {
  const clock = createFakeClock()
  let isDown = true
  const seen: { key: string; at: number }[] = []
  const reconcile = async (key: string): Promise<Again> => {
    if (key === 'sleeping') return { inMs: 3_600_000 }
    if (isDown) throw new Unavailable('etcd is away')
    seen.push({ key, at: clock.now() })
    return undefined
  }
  const stop = new AbortController()
  const queue = createQueue({ name: 'test', concurrency: 2, clock, log: silentLog, reconcile })
  const done = queue.run(stop.signal)
  for (const key of ['a', 'b', 'sleeping']) queue.add(key)
  await clock.goTo(600_000)
  isDown = false
  queue.retryFailed()
  await clock.goTo(600_001)
  expect(seen.map(({ key }) => key).sort()).toEqual(['a', 'b'])
  expect(queue.sleeping).toBe(1)
  stop.abort()
  await done
})
