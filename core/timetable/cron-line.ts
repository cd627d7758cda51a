import type { Sixty } from './bit-sets.ts'

/** Day rules that depend on the month: beside plain days and weekdays. */
export type DayRule =
  /** `L`, `L-n`, with `weekday`: `LW`, `L-nW`, moved to the nearest of Monday to Friday in the month. */
  | { kind: 'last'; before: number; nearest: boolean }
  /** `15W`: the one of Monday to Friday nearest to that day, in the same month. */
  | { kind: 'nearest'; day: number }
  /** `5L`: the month's last Friday. */
  | { kind: 'lastWeekday'; weekday: number }
  /** `5#3`: the month's third Friday. */
  | { kind: 'nthWeekday'; weekday: number; nth: number }

/**
 * A compiled cron line, small: a hundred thousand live in one agent. Masks: hours bit 0–23, days bit 0 = the 1st, months bit 0 =
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
  /** Further days, joined with `days` (kinds last, nearest) or `weekdays`. */
  rules: readonly DayRule[]
  /** Both day fields are restricted: a day of either fires. */
  either: boolean
  /** Follows the wall clock through shifts, instead of meaning fixed times of day. */
  interval: boolean
}

/** `@every`: multiples of `seconds` since the Unix epoch. */
export interface EveryLine {
  kind: 'every'
  seconds: number
}

export type Line = CronLine | EveryLine

/** Why a schedule is refused: what is wrong and the remedy. Becomes an InvalidInput that names the field. */
export class ScheduleError extends Error {
  override readonly name = 'BadSchedule'
}
