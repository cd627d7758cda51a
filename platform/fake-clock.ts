import type { Clock } from './clock.ts'

/** Time that a test moves. */
export interface FakeClock extends Clock {
  /** Moves to `time`, ms. Wakes each sleeper at its instant, and lets everything that follows finish before the next one. */
  goTo(time: number): Promise<void>
  /** How many sleeps are pending. */
  readonly sleeping: number
}

export function createFakeClock(start = 0): FakeClock {
  let now = start
  const sleepers = new Set<{ at: number; wake: () => void }>()
  // After a turn of the event loop the microtask queue is empty: all work without I/O or timers is done.
  const settled = () => new Promise<void>(resolve => setImmediate(resolve))
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
      await settled()
      for (let next = first(); next && next.at <= time; next = first()) {
        now = Math.max(now, next.at)
        sleepers.delete(next)
        next.wake()
        await settled()
      }
      now = Math.max(now, time)
    },
    get sleeping() {
      return sleepers.size
    },
  }
}
