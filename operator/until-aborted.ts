import type { Clock } from '../platform/clock.ts'

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Does the work every `ms` until the signal aborts. The first time is after `ms`. */
export async function every(
  { clock, ms }: { clock: Clock; ms: number },
  signal: AbortSignal,
  work: () => void | Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ms, signal).catch(() => undefined)
    if (!signal.aborted) await work()
  }
}
