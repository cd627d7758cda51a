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

/** Compiles one schedule. `hashKey` seeds H. Throws InvalidInput for `field`; its message gives the value, the problem and the remedy. */
export function compileSchedule(schedule: string, hashKey: string, field: string): Line {
  try {
    return parse(schedule, hashKey)
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error
    throw new InvalidInput(field, `"${schedule}": ${error.message}`, { cause: error })
  }
}

function parse(schedule: string, hashKey: string): Line {
  const text = schedule.trim().toUpperCase()
  if (text === '')
    throw new ScheduleError('is empty; write five fields: minute hour day-of-month month day-of-week')
  if (/^(CRON_)?TZ=/.test(text)) throw new ScheduleError('contains a time zone; set spec.timeZone instead')
  if (!text.startsWith('@')) return parseFields(text.split(/\s+/), hashKey)
  const every = /^@EVERY\s+(.*)$/.exec(text)
  if (every) return { kind: 'every', seconds: parseEvery((every[1] ?? '').toLowerCase()) }
  if (text === '@REBOOT')
    throw new ScheduleError('@reboot is not supported; use a systemd unit on the machine, or a schedule')
  const macro = MACROS[text]
  if (macro) return parseFields(macro.split(' '), hashKey)
  const known = [...Object.keys(MACROS), '@every 90s'].join(', ').toLowerCase()
  throw new ScheduleError(`is not a known macro; use ${known}`)
}

/** A year, or a list, range or step of years, as the last field of some crons. */
const YEARS = /(^|[,-])(19|20)\d\d([,/-]|$)/
const NO_YEAR =
  'A year is not supported: to run once, create a ShellRun; to end a schedule, suspend or delete the job'

function parseFields(fields: string[], hashKey: string): CronLine {
  const [second = '', minute = '', hour = '', date = '', month = '', weekday = ''] = sixFields(fields)
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
    interval: hour.startsWith('*') || hour.includes('/') || minute.split(',').some(repeats),
  }
  return checked(line)
}

/** The fields with the seconds first, which are 0 if they are left out. */
function sixFields(fields: string[]): string[] {
  const { length } = fields
  if (length !== 5 && length !== 6)
    throw new ScheduleError(
      `has ${length} field${length === 1 ? '' : 's'}; write 5 (minute hour day-of-month month day-of-week), or 6 with seconds first${length === 7 ? `. ${NO_YEAR}` : ''}`,
    )
  if (YEARS.test(fields.at(-1) ?? '')) throw new ScheduleError(`ends with a year. ${NO_YEAR}`)
  return length === 6 ? fields : ['0', ...fields]
}

/** The values of a list, which must be in upper case. */
function listOf(field: Field, text: string, hashKey: string): number[] {
  if (text.includes('?'))
    throw new ScheduleError(`${field.name} field contains "?", which only day fields allow; use *`)
  if (text === '') throw new ScheduleError(unreadable(field, text))
  return text.split(',').flatMap(item => valuesOf(field, item, hashKey))
}

/** A wildcard, range or step. H(0-29) is none of them: it names one fixed time. */
function repeats(item: string): boolean {
  return item.includes('*') || item.includes('/') || (item.includes('-') && !item.startsWith('H'))
}

const NO_RULES: readonly DayRule[] = []

/** Most lines have no rules and share one empty list. */
function joined(days: readonly DayRule[], weekdays: readonly DayRule[]): readonly DayRule[] {
  return days.length + weekdays.length === 0 ? NO_RULES : [...days, ...weekdays]
}

/** The Gregorian calendar repeats after 400 years. A line that has no day in them never fires. */
const CYCLE_START = dayNumber(2000, 1, 1)
const CYCLE_END = dayNumber(2400, 1, 1)

function checked(line: CronLine): CronLine {
  if (line.either && line.rules.length > 0)
    throw new ScheduleError(
      'restricts day-of-month and day-of-week and uses L, W or # in one of them; cron dialects disagree on whether a day must match both or either. Write * in one of the two fields, or use two schedules',
    )
  if (nextDay(line, CYCLE_START, CYCLE_END) === undefined)
    throw new ScheduleError(
      'never fires, because none of its months has such a day; check day-of-month and month',
    )
  return line
}
