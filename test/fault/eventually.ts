import { systemClock } from '../../platform/clock.ts'

/**
 * Waits until `check` returns something truthy, and resolves to it. Throws after `ms`, which is generous because machines are noisy, with
 * the value of `what` at that time.
 */
export async function eventually<T>(
  what: string | (() => string),
  check: () => T | Promise<T>,
  ms = 30_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = systemClock.monotonic() + ms
  for (;;) {
    const got = await check()
    if (got) return got as Exclude<T, false | null | undefined>
    if (systemClock.monotonic() > end) {
      const waited = typeof what === 'string' ? what : what()
      throw new Error(`not within ${ms} ms: ${waited}`)
    }
    await systemClock.sleep(20)
  }
}

/** Whether a promise is still pending after `ms`. */
export async function isOpenAfter(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const stillOpen = systemClock.sleep(ms).then(() => true)
  return await Promise.race([Promise.allSettled([promise]).then(() => false), stillOpen])
}
