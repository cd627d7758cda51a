import { dayNumber, monthLength, weekday } from './calendar.ts'
import type { CronLine, DayRule } from './cron-line.ts'

/** The days of a month on which a line fires; bit 0 is the 1st. The months of the line are ignored. */
export function daysIn(line: CronLine, year: number, month: number): number {
  const length = monthLength(year, month)
  const first = weekday(dayNumber(year, month, 1))
  const all = 0x7fffffff >>> (31 - length)
  let byDate = line.days & all
  let byWeekday = spread(line.weekdays, first) & all
  for (const rule of line.rules) {
    if (rule.kind === 'last' || rule.kind === 'nearest') byDate |= bit(dateOf(rule, length, first))
    else byWeekday |= bit(weekdayOf(rule, length, first))
  }
  return line.either ? byDate | byWeekday : byDate & byWeekday
}

/** The days of a month that fall on the given weekdays, if its 1st is weekday `first`. */
function spread(weekdays: number, first: number): number {
  const week = ((weekdays >>> first) | (weekdays << (7 - first))) & 0x7f
  return week | (week << 7) | (week << 14) | (week << 21) | (week << 28)
}

/** Day 0 means none. */
function bit(day: number): number {
  return day > 0 ? 1 << (day - 1) : 0
}

function dateOf(rule: DayRule & { kind: 'last' | 'nearest' }, length: number, first: number): number {
  const day = rule.kind === 'last' ? length - rule.before : rule.day
  if (day < 1 || day > length) return 0
  const workday = rule.kind === 'nearest' || rule.nearest
  if (!workday) return day
  const on = (first + day - 1) % 7
  if (on === 6) return day === 1 ? 3 : day - 1
  if (on === 0) return day === length ? day - 2 : day + 1
  return day
}

function weekdayOf(
  rule: DayRule & { kind: 'lastWeekday' | 'nthWeekday' },
  length: number,
  first: number,
): number {
  const earliest = 1 + ((rule.weekday - first + 7) % 7)
  const day =
    rule.kind === 'nthWeekday'
      ? earliest + 7 * (rule.nth - 1)
      : earliest + 7 * Math.floor((length - earliest) / 7)
  return day <= length ? day : 0
}
