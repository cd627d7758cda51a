import type { Clock } from '../../platform/clock.ts'

/** Limits log lines that clients cause. Returns undefined for a line to leave out, otherwise how many lines of this key were left out. */
export type LogLimit = (key: string) => { leftOut: number } | undefined

const EVERY_MS = 60_000
const MAX_KEYS = 1_000

/** One line of each key in a minute. */
export function createLogLimit(clock: Pick<Clock, 'monotonic'>): LogLimit {
  const known = new Map<string, { since: number; leftOut: number }>()
  return key => {
    const now = clock.monotonic()
    const last = known.get(key)
    if (last && now - last.since < EVERY_MS) {
      last.leftOut++
      return undefined
    }
    if (known.size >= MAX_KEYS) known.clear()
    known.set(key, { since: now, leftOut: 0 })
    return { leftOut: last?.leftOut ?? 0 }
  }
}
