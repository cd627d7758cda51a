import { readFileSync } from 'node:fs'

/** How the benchmarks print their measurements. */

export function quantile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}

export function say(what: string, figures: Record<string, string | number>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name}=${rounded(value)}`)
  process.stdout.write(`${what}: ${text.join(' ')}\n`)
}

function rounded(value: string | number): string {
  if (typeof value === 'string' || Number.isInteger(value)) return `${value}`
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1)
}

/** Numbers from `--name n` on the command line, or their defaults. */
export function flags<T extends Record<string, number>>(defaults: T): T {
  const given = process.argv.slice(2)
  const answer: Record<string, number> = { ...defaults }
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i]?.replace(/^--/, '') ?? ''
    const value = Number(given[i + 1])
    if (!(name in defaults) || !(value >= 0))
      throw new Error(
        `${given[i]}: give numbers as ${Object.keys(defaults)
          .map(flag => `--${flag} n`)
          .join(' ')}`,
      )
    answer[name] = value
  }
  return answer as T
}

/** The resources of a process: memory in MB, now and at its peak; CPU in seconds since its start. Linux only. */
export function usage(pid: number): { rssMb: number; peakMb: number; cpuSeconds: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024
  // The name may contain anything, and ends with the last bracket. After it utime and stime are the 12th and 13th fields.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return { rssMb: mb('VmRSS'), peakMb: mb('VmHWM'), cpuSeconds: ticks / TICKS_PER_SECOND }
}

/** USER_HZ, which is 100 on all platforms of Node. */
const TICKS_PER_SECOND = 100
