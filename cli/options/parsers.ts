import { InvalidArgumentError } from 'commander'
import { quantity } from '../../core/schema/values.ts'

/** Parsers of option values. Each throws commander's InvalidArgumentError, whose message gives the remedy. */

/** For an option that may be repeated: appends the value. */
export function collect(value: string, all: string[] = []): string[] {
  return [...all, value]
}

export function commaSeparated(text: string): string[] {
  const parts = text.split(',').filter(part => part !== '')
  if (parts.length === 0) throw new InvalidArgumentError('Name at least one.')
  return parts
}

/** `up` checks what its agent would refuse, and so says it at once and with the name of its own flag. */
export function runtimeEndpoints(text: string): string[] {
  const all = commaSeparated(text)
  if (all.every(each => each.startsWith('unix:///'))) return all
  throw new InvalidArgumentError('Use URLs such as unix:///run/containerd/containerd.sock.')
}

/** A size in bytes with an optional unit, as the operator takes it. */
export function size(text: string): string {
  if (quantity('0', '1000Ti').safeParse(text).success) return text
  throw new InvalidArgumentError('Use a size from 0 to 1000Ti, such as 500Mi or 20Gi.')
}

export function number(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isNaN(value)) throw new InvalidArgumentError('Use a number.')
  return value
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`)
  }
}

/** Answers Unix ms. */
export function timestamp(text: string): number {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new InvalidArgumentError('Use RFC 3339, such as 2026-03-29T01:30:00Z.')
  return time
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The duration in ms, such as `90s`, `5m`, `2h` or `1d`; undefined: it is none. */
export function durationMs(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (UNITS[unit] ?? 0)
}
