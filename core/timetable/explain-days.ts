import type { CronLine, DayRule } from './cron-line.ts'

/** The words for a line's days and months. */

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
)
const NTH = ['first', 'second', 'third', 'fourth', 'fifth']
/** Monday first, so that Wednesday to Sunday is one span. */
const WEEK = [1, 2, 3, 4, 5, 6, 0]
const EVERY_DATE = 0x7fffffff
const EVERY_WEEKDAY = 0x7f
const EVERY_MONTH = 0xfff

/** `a, b and c`. */
export function list(texts: readonly string[]): string {
  return texts.length < 2 ? (texts[0] ?? '') : `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`
}

/** `on Monday to Friday`, `on the 1st and the last day of the month`, `every day`. */
export function dayPhrase(line: CronLine): string {
  const dates = line.days === EVERY_DATE ? '' : datePhrase(line)
  const weekdays = line.weekdays === EVERY_WEEKDAY ? '' : weekdayPhrase(line)
  if (line.either && dates && weekdays) return `on ${dates} and also on ${weekdays}`
  if (line.either) return 'every day'
  return dates || weekdays ? `on ${dates || weekdays}` : 'every day'
}

/** `in January and March to May`. Empty for every month. */
export function monthPhrase(months: number): string {
  if (months === EVERY_MONTH) return ''
  const order = MONTHS.map((_, month) => month)
  return `in ${list(spans(order, months).map(span => span.map(month => MONTHS[month]).join(' to ')))}`
}

function datePhrase(line: CronLine): string {
  const order = Array.from({ length: 31 }, (_, i) => i)
  const dates = spans(order, line.days).map(span => span.map(day => `the ${ordinal(day + 1)}`).join(' to '))
  return `${list([...dates, ...line.rules.map(ruleText)])} of the month`
}

function weekdayPhrase(line: CronLine): string {
  const days = spans(WEEK, line.weekdays).map(span => span.map(day => WEEKDAYS[day]).join(' to '))
  return list([...days, ...line.rules.map(ruleText)])
}

function ruleText(rule: DayRule): string {
  switch (rule.kind) {
    case 'last':
      return lastText(rule.before, rule.nearest)
    case 'nearest':
      return `the working day nearest to the ${ordinal(rule.day)}`
    case 'lastWeekday':
      return `the last ${WEEKDAYS[rule.weekday]} of the month`
    case 'nthWeekday':
      return `the ${NTH[rule.nth - 1]} ${WEEKDAYS[rule.weekday]} of the month`
    default:
      return rule satisfies never
  }
}

function lastText(before: number, nearest: boolean): string {
  const day = before === 0 ? 'the last day' : `the ${ordinal(before + 1)} day from the end`
  if (!nearest) return day
  return before === 0 ? 'the last working day' : `the working day nearest to ${day}`
}

/** Members of a mask, in the given order. Three or more consecutive ones become [first, last]; others stay alone. */
function spans(order: readonly number[], mask: number): number[][] {
  const found: number[][] = []
  let run: number[] = []
  const close = () => {
    const [first = 0] = run
    if (run.length >= 3) found.push([first, run.at(-1) ?? first])
    else found.push(...run.map(member => [member]))
    run = []
  }
  for (const member of order) {
    if (mask & (1 << member)) run.push(member)
    else close()
  }
  close()
  return found
}

function ordinal(n: number): string {
  const teen = n >= 11 && n <= 13
  const suffix = teen ? undefined : ['th', 'st', 'nd', 'rd'][n % 10]
  return `${n}${suffix ?? 'th'}`
}
