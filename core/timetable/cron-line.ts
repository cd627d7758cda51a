import type { Sixty } from './bit-sets.ts'

/** Day rules whose days depend on the month. */
export type DayRule =
  /** `L`, `L-n`; with `nearest`: `LW`, `L-nW`, moved to the nearest weekday (Monday to Friday) of the month. */
  | { kind: 'last'; before: number; nearest: boolean }
  /** `15W`: the weekday (Monday to Friday) nearest to that day, in the same month. */
  | { kind: 'nearest'; day: number }
  /** `5L`: the month's last Friday. */
  | { kind: 'lastWeekday'; weekday: number }
  /** `5#3`: the month's third Friday. */
  | { kind: 'nthWeekday'; weekday: number; nth: number }

/**
 * A compiled cron line. It is small, because an agent may hold a hundred thousand. Masks: hours bit 0–23, days bit 0 = the 1st, months bit 0 =
 * January, weekdays bit 0 = Sunday.
 */
export interface CronLine {
  kind: 'cron'
  seconds: Sixty
  minutes: Sixty
  hours: number
  days: number
  months: number
  weekdays: number
  /** Further days, added to `days` (kinds last, nearest) or `weekdays`. */
  rules: readonly DayRule[]
  /** Both day fields are restricted: the line fires on days that match either. */
  either: boolean
  /** Follows the wall clock when it changes, instead of naming fixed times of day. */
  interval: boolean
}

/** `@every`: multiples of `seconds` since the Unix epoch. */
export interface EveryLine {
  kind: 'every'
  seconds: number
}

export type Line = CronLine | EveryLine

/** A schedule is invalid. The message gives the problem and the remedy. It becomes an InvalidInput that names the field. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError'
}
