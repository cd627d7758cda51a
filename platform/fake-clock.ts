import type { Clock } from './clock.ts'

/** Time that moves only when a test says so. */
export interface FakeClock extends Clock {
  /** Moves to `time`, ms, waking each sleeper at its instant and letting what it starts come to rest before the next. */
  goTo(time: number): Promise<void>
  /** How many sleep now. */
  readonly sleeping: number
}

export function createFakeClock(start = 0): FakeClock {
  let now = start
  const sleepers = new Set<{ at: number; wake: () => void }>()
  // By then the queue of microtasks is empty: everything that needs no I/O and no timer has come to rest.
  const rest = () => new Promise<void>(resolve => setImmediate(resolve))
  const first = () => {
    let soonest: { at: number; wake: () => void } | undefined
    for (const sleeper of sleepers) if (!soonest || sleeper.at < soonest.at) soonest = sleeper
    return soonest
  }
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason)
          return
        }
        const onAbort = () => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        const wake = () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
        const sleeper = { at: now + Math.max(ms, 0), wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    async goTo(time) {
      await rest()
      for (let next = first(); next && next.at <= time; next = first()) {
        now = Math.max(now, next.at)
        sleepers.delete(next)
        next.wake()
        await rest()
      }
      now = Math.max(now, time)
    },
    get sleeping() {
      return sleepers.size
    },
  }
}
