import { hash53 } from '../hash.ts'
import { ScheduleError } from './cron-line.ts'

/** One field of a cron line: comma-separated items `*`, `7`, `1-5`, `H`, `H(0-29)`, each with an optional `/step`. */
export interface Field {
  /** As messages name it. */
  name: string
  /** Seeds H. It must never change, because that would move the times of jobs. Default: the name. */
  seed?: string
  min: number
  max: number
  /** Upper-case names of `min`, `min + 1` and so on. The first three letters of a name are enough. */
  names?: readonly string[]
  /** The number of values is fixed, so a range may wrap around. */
  cyclic?: boolean
  /** H chooses from min to this value. For days of month it is 28, because every month has that day. */
  hashMax?: number
}

const MONTHS = 'JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER'.split(
  ' ',
)
const WEEKDAYS = 'SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY'.split(' ')

export const SECOND: Field = { name: 'second', min: 0, max: 59 }
export const MINUTE: Field = { name: 'minute', min: 0, max: 59 }
export const HOUR: Field = { name: 'hour', min: 0, max: 23 }
export const DAY_OF_MONTH: Field = {
  name: 'day-of-month',
  seed: 'day of month',
  min: 1,
  max: 31,
  hashMax: 28,
}
export const MONTH: Field = { name: 'month', min: 1, max: 12, names: MONTHS, cyclic: true }
/** 7 is Sunday too. */
export const DAY_OF_WEEK: Field = {
  name: 'day-of-week',
  seed: 'day of week',
  min: 0,
  max: 7,
  names: WEEKDAYS,
  cyclic: true,
  hashMax: 6,
}

/** The values of one item, in order; days of week as 0–6. The item must be in upper case. Throws ScheduleError. */
export function valuesOf(field: Field, item: string, hashKey: string): number[] {
  const [base = '', stepText, ...more] = item.split('/')
  if (more.length > 0 || base === '') throw new ScheduleError(unreadable(field, item))
  const step = stepText === undefined ? undefined : stepOf(field, stepText, item)
  if (base.startsWith('H')) return hashed(field, { item, base, step, hashKey })
  const { from, to } = boundsOf(field, base, step)
  return sequence(field, from, to, step ?? 1)
}

function boundsOf(field: Field, base: string, step: number | undefined): { from: number; to: number } {
  const last = lastOf(field)
  if (base === '*') return { from: field.min, to: last }
  const [fromText = '', toText, ...more] = base.split('-')
  if (more.length > 0) throw new ScheduleError(unreadable(field, base))
  const from = numberOf(field, fromText)
  if (toText !== undefined) return rangeOf(field, base, { from, to: numberOf(field, toText), step })
  return { from: cycled(field, from), to: step === undefined ? cycled(field, from) : last }
}

interface Range {
  from: number
  to: number
  step: number | undefined
}

function rangeOf(field: Field, text: string, range: Range): { from: number; to: number } {
  const { from, to } = range
  if (field !== DAY_OF_WEEK) return closed(field, text, range)
  if (from === 7) return closed(field, text, { ...range, from: 0, to: to % 7 })
  return closed(field, text, { ...range, to: to === 0 && from > 0 ? 7 : to })
}

/** Handles a range whose end is before its start: it wraps around in a cyclic field and is refused in others. */
function closed(field: Field, text: string, { from, to, step }: Range): { from: number; to: number } {
  if (to >= from) return { from, to }
  if (!field.cyclic)
    throw new ScheduleError(
      `${field.name} range ${text} ends before it starts; write two ranges: ${from}-${field.max},${field.min}-${to}`,
    )
  const size = lastOf(field) - field.min + 1
  if (to + 1 === from && step === undefined)
    throw new ScheduleError(`${field.name} range ${text} covers every value; write *, or correct the range`)
  return { from, to: to + size }
}

function sequence(field: Field, from: number, to: number, step: number): number[] {
  const size = lastOf(field) - field.min + 1
  const values: number[] = []
  for (let value = from; value <= to; value += step) values.push(((value - field.min) % size) + field.min)
  return values
}

/** H, as in Jenkins: a value, or the start of a step, derived from the job's namespace and name. */
function hashed(
  field: Field,
  of: { item: string; base: string; step: number | undefined; hashKey: string },
): number[] {
  const match = /^H(?:\((\w+)-(\w+)\))?$/.exec(of.base)
  if (!match) throw new ScheduleError(unreadable(field, of.item))
  const from = match[1] === undefined ? field.min : numberOf(field, match[1])
  const to = match[2] === undefined ? (field.hashMax ?? field.max) : numberOf(field, match[2])
  if (to < from)
    throw new ScheduleError(
      `${field.name} range in ${of.item} ends before it starts; write the smaller value first`,
    )
  const size = to - from + 1
  const hash = hash53(`${of.hashKey}\n${field.seed ?? field.name}`)
  if (of.step === undefined) return [cycled(field, from + (hash % size))]
  if (of.step > size)
    throw new ScheduleError(`${field.name} step in ${of.item} is larger than its range; use at most ${size}`)
  return sequence(field, from + (hash % of.step), to, of.step)
}

function stepOf(field: Field, text: string, item: string): number {
  const step = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (step >= 1 && step <= field.max) return step
  const once = step > field.max ? `; a larger step would fire at ${field.min} only: write ${field.min}` : ''
  throw new ScheduleError(
    `${field.name} step in ${item} must be a whole number from 1 to ${field.max}${once}`,
  )
}

/** The value of a number or name. Throws ScheduleError if it is out of range. */
export function numberOf(field: Field, text: string): number {
  if (/^\d{1,4}$/.test(text)) {
    const value = Number(text)
    if (value >= field.min && value <= field.max) return value
    throw new ScheduleError(`${field.name} ${text} is out of range; use ${field.min}-${field.max}`)
  }
  const index = field.names?.findIndex(name => text === name || text === name.slice(0, 3)) ?? -1
  if (index < 0) throw new ScheduleError(unreadable(field, text))
  return index + field.min
}

function lastOf(field: Field): number {
  return field === DAY_OF_WEEK ? 6 : field.max
}

function cycled(field: Field, value: number): number {
  return field === DAY_OF_WEEK ? value % 7 : value
}

export function unreadable(field: Field, text: string): string {
  const names = field.names ? ` or ${field.names[0]?.slice(0, 3)}-${field.names.at(-1)?.slice(0, 3)}` : ''
  const shown = text === '' ? 'an empty value' : `"${text}"`
  return `${field.name} field contains ${shown}; use ${field.min}-${field.max}${names}, lists (1,5), ranges (1-5), steps (*/5) or H`
}
