import { InvalidInput } from '../errors.ts'
import { maskOf, sixtyOf } from './bit-sets.ts'
import { dayNumber } from './calendar.ts'
import { type CronLine, type DayRule, type Line, ScheduleError } from './cron-line.ts'
import { nextDay } from './next-local-time.ts'
import { parseDaysOfMonth, parseDaysOfWeek } from './parse-day-fields.ts'
import { parseEvery } from './parse-every.ts'
import { type Field, HOUR, MINUTE, MONTH, SECOND, unreadable, valuesOf } from './parse-field.ts'

const MACROS: Record<string, string> = {
  '@YEARLY': '0 0 1 1 *',
  '@ANNUALLY': '0 0 1 1 *',
  '@MONTHLY': '0 0 1 * *',
  '@WEEKLY': '0 0 * * 0',
  '@DAILY': '0 0 * * *',
  '@MIDNIGHT': '0 0 * * *',
  '@HOURLY': '0 * * * *',
}

/** Compiles one schedule; `hashKey` seeds H. Throws InvalidInput for `field`: the value, what is wrong with it and the remedy. */
export function compileSchedule(schedule: string, hashKey: string, field: string): Line {
  try {
    return parse(schedule, hashKey)
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error
    throw new InvalidInput(field, `schedule "${schedule}": ${error.message}`, { cause: error })
  }
}

function parse(schedule: string, hashKey: string): Line {
  const text = schedule.trim().toUpperCase()
  if (text === '')
    throw new ScheduleError('it is empty; write five fields: minute hour day-of-month month day-of-week')
  if (/^(CRON_)?TZ=/.test(text))
    throw new ScheduleError('a time zone in the schedule is not supported; set spec.timeZone')
  if (!text.startsWith('@')) return parseFields(text.split(/\s+/), hashKey)
  const every = /^@EVERY\s+(.*)$/.exec(text)
  if (every) return { kind: 'every', seconds: parseEvery((every[1] ?? '').toLowerCase()) }
  if (text === '@REBOOT')
    throw new ScheduleError(
      '@reboot has no time; start what belongs to a boot from the machine (systemd), or use a schedule',
    )
  const macro = MACROS[text]
  if (macro) return parseFields(macro.split(' '), hashKey)
  const known = [...Object.keys(MACROS), '@every 90s'].join(', ').toLowerCase()
  throw new ScheduleError(`this macro is not known; use ${known}`)
}

function parseFields(fields: string[], hashKey: string): CronLine {
  if (fields.length !== 5 && fields.length !== 6)
    throw new ScheduleError(
      `it has ${fields.length} field${fields.length === 1 ? '' : 's'}; write 5 (minute hour day-of-month month day-of-week), or 6 with seconds first`,
    )
  const [second = '', minute = '', hour = '', date = '', month = '', weekday = ''] =
    fields.length === 6 ? fields : ['0', ...fields]
  const days = parseDaysOfMonth(date, hashKey)
  const weekdays = parseDaysOfWeek(weekday, hashKey)
  const line: CronLine = {
    kind: 'cron',
    seconds: sixtyOf(listOf(SECOND, second, hashKey)),
    minutes: sixtyOf(listOf(MINUTE, minute, hashKey)),
    hours: maskOf(listOf(HOUR, hour, hashKey)),
    days: days.mask,
    months: maskOf(listOf(MONTH, month, hashKey)) >>> 1,
    weekdays: weekdays.mask,
    rules: joined(days.rules, weekdays.rules),
    either: days.restricted && weekdays.restricted,
    interval: hour.startsWith('*') || minute.split(',').some(repeats),
  }
  return checked(line)
}

/** The values of a list in upper case. */
function listOf(field: Field, text: string, hashKey: string): number[] {
  if (text.includes('?'))
    throw new ScheduleError(`${field.name} field has "?", which is for day fields only; use *`)
  if (text === '') throw new ScheduleError(unreadable(field, text))
  return text.split(',').flatMap(item => valuesOf(field, item, hashKey))
}

/** A wildcard, range or step: not one fixed time. H(0-29) is one. */
function repeats(item: string): boolean {
  return item.includes('*') || item.includes('/') || (item.includes('-') && !item.startsWith('H'))
}

const NO_RULES: readonly DayRule[] = []

/** Most lines have none, and share it. */
function joined(days: readonly DayRule[], weekdays: readonly DayRule[]): readonly DayRule[] {
  return days.length + weekdays.length === 0 ? NO_RULES : [...days, ...weekdays]
}

/** The Gregorian calendar repeats after 400 years: a line without a day in them has none. */
const CYCLE_START = dayNumber(2000, 1, 1)
const CYCLE_END = dayNumber(2400, 1, 1)

function checked(line: CronLine): CronLine {
  if (line.either && line.rules.length > 0)
    throw new ScheduleError(
      'day of month and day of week are both restricted and one has L, W or #: cron dialects disagree whether a day must match both or either; restrict one and put * for the other, or give two schedules',
    )
  if (nextDay(line, CYCLE_START, CYCLE_END) === undefined)
    throw new ScheduleError(
      'it never fires: no month that it names has such a day; correct day of month or month',
    )
  return line
}
