import type { Clock } from '../../platform/clock.ts'
import { setBounded } from './bounded-map.ts'

const BURST = 25
const REFILL = 5 * 60_000

/** A token bucket for each object: 25 Events at once, then one in 5 minutes. The function returns whether one more is allowed now. */
export function createEventLimit(clock: Clock): (uid: string) => boolean {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return uid => {
    const now = clock.monotonic()
    const bucket = buckets.get(uid) ?? { tokens: BURST, at: now }
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL)
    setBounded(buckets, uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    return tokens >= 1
  }
}
