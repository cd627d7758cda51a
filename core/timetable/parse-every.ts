import { ScheduleError } from './cron-line.ts'

const UNITS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
const REMEDY = 'use a duration such as 90s, 15m or 1h30m, in whole seconds, at least 1s'
/** A longer interval is probably a mistake. */
const LONGEST = 366 * 86_400

/** The interval of `@every 1h30m` in seconds. Durations are written as in Go. Throws ScheduleError. */
export function parseEvery(text: string): number {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:h|ms|m|s))+$/.test(text))
    throw new ScheduleError(`@every ${text}: the duration is invalid; ${REMEDY}`)
  let total = 0
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(h|ms|m|s)/g))
    total += Number(amount) * (UNITS[unit ?? ''] ?? 0)
  const seconds = Math.round(total) / 1_000
  if (!Number.isInteger(seconds) || Math.abs(total - seconds * 1_000) > 1e-6 || seconds < 1)
    throw new ScheduleError(`@every ${text}: the duration is not a whole number of seconds; ${REMEDY}`)
  if (seconds > LONGEST)
    throw new ScheduleError(
      `@every ${text}: the duration is longer than a year; use at most ${LONGEST / 3_600}h, or a cron expression`,
    )
  return seconds
}
