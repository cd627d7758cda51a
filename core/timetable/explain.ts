import { nextBit, nextOfSixty } from './bit-sets.ts'
import type { CronLine } from './cron-line.ts'
import { dayPhrase, list, monthPhrase } from './explain-days.ts'
import { compileSchedule } from './parse-schedule.ts'

/**
 * Describes a schedule in one English sentence. H is resolved for the `<namespace>/<name>` in `hashKey`. Throws InvalidInput for field
 * `schedule`.
 */
export function explain(schedule: string, hashKey: string): string {
  const line = compileSchedule(schedule, hashKey, 'schedule')
  const phrase =
    line.kind === 'every'
      ? `every ${duration(line.seconds)}, counted from 1970-01-01T00:00:00Z`
      : cronPhrase(line)
  return `${phrase.charAt(0).toUpperCase()}${phrase.slice(1)}.`
}

function cronPhrase(line: CronLine): string {
  const days = dayPhrase(line)
  const told = days === 'every day' && line.hours === EVERY_HOUR ? '' : days
  return [timePhrase(line), told, monthPhrase(line.months)].filter(Boolean).join(', ')
}

const EVERY_HOUR = 0xffffff

/** More times of day than this are described as a rule. */
const MOST_TIMES = 6

function timePhrase(line: CronLine): string {
  const seconds = members(from => nextOfSixty(line.seconds, from))
  const minutes = members(from => nextOfSixty(line.minutes, from))
  const hours = members(from => nextBit(line.hours, from))
  if (seconds.length * minutes.length * hours.length <= MOST_TIMES)
    return `at ${list(hours.flatMap(h => minutes.flatMap(m => seconds.map(s => clock(h, m, s)))))}`
  const second = seconds.length === 1 && seconds[0] === 0 ? '' : unitPhrase('second', seconds)
  const minute = second ? ofMinutes(second, minutes) : unitPhrase('minute', minutes)
  return [second, minute, hourPhrase(hours, minute || second)].filter(Boolean).join(' ')
}

/** `every minute`, `every 15 minutes`, `at minutes 5 and 35`. */
function unitPhrase(unit: string, values: number[]): string {
  if (values.length === 60) return `every ${unit}`
  const step = stepOf(values, 60)
  if (step === undefined) return `at ${unit}${values.length > 1 ? 's' : ''} ${list(runs(values))}`
  const even = 60 % step === 0 && values[0] === 0
  return `every ${step} ${unit}s${even ? '' : `, counted from ${unit} ${values[0]}`}`
}

const EVERY_MINUTE = 'of every minute'

function ofMinutes(second: string, minutes: number[]): string {
  if (minutes.length === 60) return second.startsWith('every') ? '' : EVERY_MINUTE
  return `of minute${minutes.length > 1 ? 's' : ''} ${list(runs(minutes))}`
}

function hourPhrase(hours: number[], before: string): string {
  const [first = 0] = hours
  const last = hours.at(-1) ?? first
  if (hours.length === 24)
    return /^every \d* ?\w+$/.test(before) || before === EVERY_MINUTE ? '' : 'of every hour'
  if (last - first + 1 === hours.length) return `from ${clock(first, 0, 0)} to ${clock(last, 59, 0)}`
  const step = stepOf(hours, 24)
  if (step !== undefined) return `of every ${ordinalStep(step)} hour from ${clock(first, 0, 0)}`
  return `in the hours starting at ${list(hours.map(hour => clock(hour, 0, 0)))}`
}

/** The step of three or more values that reach the end of their cycle. undefined: they have none. */
function stepOf(values: number[], cycle: number): number | undefined {
  const [first = 0, second = 0] = values
  const step = second - first
  const regular = values.every((value, i) => value === first + i * step)
  return values.length >= 3 && step > 1 && regular && first + values.length * step >= cycle ? step : undefined
}

/** Three or more consecutive values as `3 to 7`. */
function runs(values: number[]): string[] {
  const texts: string[] = []
  for (let i = 0; i < values.length; ) {
    let end = i
    while (values[end + 1] === (values[end] ?? 0) + 1) end++
    if (end - i >= 2) texts.push(`${values[i]} to ${values[end]}`)
    else texts.push(...values.slice(i, end + 1).map(String))
    i = end + 1
  }
  return texts
}

function members(next: (from: number) => number): number[] {
  const values: number[] = []
  for (let value = next(0); value >= 0; value = next(value + 1)) values.push(value)
  return values
}

function clock(hour: number, minute: number, second: number): string {
  const parts = second === 0 ? [hour, minute] : [hour, minute, second]
  return parts.map(part => String(part).padStart(2, '0')).join(':')
}

function ordinalStep(step: number): string {
  return step === 2 ? '2nd' : step === 3 ? '3rd' : `${step}th`
}

function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3_600), 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [seconds % 60, 'second'],
  ] as const
  const told = parts.filter(([amount]) => amount > 0)
  if (told.length === 1 && told[0]?.[0] === 1) return told[0][1]
  return told.map(([amount, unit]) => `${amount} ${unit}${amount === 1 ? '' : 's'}`).join(' ')
}
