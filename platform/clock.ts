/**
 * Time as a port. Nothing else calls `Date.now` or sets a timer, so that a test can own the clock.
 * `now` is wall-clock time, in ms since the Unix epoch; `monotonic` is for durations, in ms from any origin, never stepped.
 */
export interface Clock {
  now(): number
  monotonic(): number
  /** Resolves after `ms` (≤ 0: in the next turn); rejects with the signal's reason if it aborts first. Of any length. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Node fires a longer timer at once (it overflows at 2^31 - 1 ms), so sleeps are taken in parts. */
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

/** A signal that aborts after `ms`, or with `parent`. Call `done` when the wait is over, so that no timer is left. */
export function deadline(ms: number, parent?: AbortSignal): { signal: AbortSignal; done: () => void } {
  const own = new AbortController()
  const handle = setTimeout(
    () => own.abort(new Error(`no answer within ${ms} ms`)),
    Math.min(ms, LONGEST_TIMER),
  )
  const signal = parent ? AbortSignal.any([own.signal, parent]) : own.signal
  return { signal, done: () => clearTimeout(handle) }
}
