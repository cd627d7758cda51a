import { nextBit, nextOfSixty } from './bit-sets.ts'
import { DAY, dayNumber, monthLength, monthOf } from './calendar.ts'
import type { CronLine } from './cron-line.ts'
import { daysIn } from './days-of-month.ts'

/**
 * Finds a line's next time on a wall clock that has no time zone. daylight-saving.ts adds the zone. Local seconds count from
 * 1970-01-01T00:00 on that clock.
 */

/** The line's first local time in [from, to), or undefined. */
export function nextLocalTime(line: CronLine, from: number, to: number): number | undefined {
  if (to <= from) return undefined
  const today = Math.floor(from / DAY)
  const lastDay = Math.floor((to - 1) / DAY)
  let day = nextDay(line, today, lastDay)
  if (day === undefined) return undefined
  let second = nextInDay(line, day === today ? from - today * DAY : 0)
  if (second < 0) {
    day = nextDay(line, today + 1, lastDay)
    if (day === undefined) return undefined
    second = nextInDay(line, 0)
  }
  const time = day * DAY + second
  return time < to ? time : undefined
}

/** The first day in [from, last] on which the line fires. undefined: none. */
export function nextDay(line: CronLine, from: number, last: number): number | undefined {
  if (from > last) return undefined
  let { year, month } = monthOf(from)
  let start = dayNumber(year, month, 1)
  let after = from - start
  while (start <= last) {
    if (line.months & (1 << (month - 1))) {
      const at = nextBit(daysIn(line, year, month), after)
      if (at >= 0) return start + at <= last ? start + at : undefined
    }
    start += monthLength(year, month)
    after = 0
    month = month === 12 ? 1 : month + 1
    if (month === 1) year++
  }
  return undefined
}

/** The first second of the day at or after `from` at which the line fires, or -1. */
function nextInDay(line: CronLine, from: number): number {
  const hour = Math.floor(from / 3_600)
  const minute = Math.floor(from / 60) % 60
  let atHour = nextBit(line.hours, hour)
  if (atHour < 0) return -1
  if (atHour === hour) {
    let atMinute = nextOfSixty(line.minutes, minute)
    if (atMinute === minute) {
      const atSecond = nextOfSixty(line.seconds, from % 60)
      if (atSecond >= 0) return atHour * 3_600 + atMinute * 60 + atSecond
      atMinute = nextOfSixty(line.minutes, minute + 1)
    }
    if (atMinute >= 0) return atHour * 3_600 + atMinute * 60 + nextOfSixty(line.seconds, 0)
    atHour = nextBit(line.hours, hour + 1)
    if (atHour < 0) return -1
  }
  return atHour * 3_600 + nextOfSixty(line.minutes, 0) * 60 + nextOfSixty(line.seconds, 0)
}
