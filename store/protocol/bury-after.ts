import type { Entry } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'

/** A launcher that starts a burst is some seconds late, and machines' clocks differ. */
const LATE_START_MS = 10_000

/**
 * With onDisconnect Continue a run continues without its agent, and must not be buried before it has surely ended. It starts at `from`, or
 * now if that is past, and ends at the latest after its deadline and grace period. Times are ms since the epoch.
 */
export function buryAfter({ command }: Entry, from: number, now: number): Pick<Active, 'buryAfter'> {
  const { onDisconnect, activeDeadlineSeconds, terminationGracePeriodSeconds } = command
  if (onDisconnect !== 'Continue' || activeDeadlineSeconds === undefined) return {}
  const longest = (activeDeadlineSeconds + terminationGracePeriodSeconds) * 1_000
  return { buryAfter: Math.max(from, now) + LATE_START_MS + longest }
}
