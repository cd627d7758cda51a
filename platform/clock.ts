/**
 * Time as a port. No other code calls `Date.now` or sets a timer, so that a test can control time.
 * `now` is the wall clock, in ms since the Unix epoch. `monotonic` is for durations, in ms from an arbitrary origin, and is never stepped.
 */
export interface Clock {
  now(): number
  monotonic(): number
  /** Resolves after `ms`, of any length (≤ 0: in the next turn). Rejects with the signal's reason if it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Node's timers overflow beyond 2^31 - 1 ms and fire at once, so longer sleeps are split. */
const LONGEST_TIMER = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    let left = ms
    do {
      await timer(Math.min(Math.max(left, 0), LONGEST_TIMER), signal)
      left -= LONGEST_TIMER
    } while (left > 0)
  },
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      clearTimeout(handle)
      reject(signal?.reason)
    }
    const handle = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** A signal that aborts after `ms`, or with `parent`. Call `done` when the wait is over, to clear the timer. */
export function deadline(ms: number, parent?: AbortSignal): { signal: AbortSignal; done: () => void } {
  const own = new AbortController()
  const handle = setTimeout(
    () => own.abort(new Error(`no answer within ${ms} ms`)),
    Math.min(ms, LONGEST_TIMER),
  )
  const signal = parent ? AbortSignal.any([own.signal, parent]) : own.signal
  return { signal, done: () => clearTimeout(handle) }
}
