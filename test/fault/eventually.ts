import { systemClock } from '../../runtime/clock.ts'

/** Waits until `check` gives something truthy, and resolves to it; after `ms` (generous: machines are noisy) throws. */
export async function eventually<T>(what: string, check: () => T | Promise<T>, ms = 30_000): Promise<T> {
  const end = systemClock.monotonic() + ms
  for (;;) {
    const got = await check()
    if (got) return got
    if (systemClock.monotonic() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await systemClock.sleep(20)
  }
}

/** Whether a promise is still open after `ms`. */
export async function isOpenAfter(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => false,
    () => false,
  )
  return await Promise.race([settled, systemClock.sleep(ms).then(() => true)])
}
