import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Sending } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'

/**
 * What the operator does not know yet waits: a moment at first, as its claim may only just have been made, then ever longer. It is asked
 * about again without its bytes, for as long as the quota has room for it, beside whatever else there is to be sent.
 */
export interface UnknownAttempts {
  /** Losses that wait. */
  readonly resting: ReadonlySet<Loss>
  /** Whether it may still become known. */
  isAwaited(of: Sending['of']): boolean
  wait(unknown: readonly Sending[], signal: AbortSignal): void
}

export interface UnknownAttemptsOptions {
  clock: Clock
  log: Log
  /** For the jitter of the backoff, from 0 to 1. */
  random(): number
  /** They have waited, and the losses among what waited rest no more. */
  again(launches: readonly Launch[]): void
}

/** Of a run that has ended so long ago everything is known that ever will be: a loss of it is told to nobody, ms. */
const KNOWN_WITHIN_MS = 86_400_000

export function createUnknownAttempts({
  clock,
  log,
  random,
  again,
}: UnknownAttemptsOptions): UnknownAttempts {
  const backoff = createBackoff({ firstMs: 250, longestMs: 60_000, random })
  const resting = new Set<Loss>()
  const tries = new WeakMap<Launch | Loss, number>()
  /** Of all together, by the one that has waited least often. */
  const pauseOf = (all: readonly (Launch | Loss)[]): number => {
    const before = all.map(each => tries.get(each) ?? 0)
    for (const [index, each] of all.entries()) tries.set(each, (before[index] ?? 0) + 1)
    return backoff(Math.min(...before) + 1)
  }
  return {
    resting,
    isAwaited: of => 'launch' in of || clock.now() - of.loss.at < KNOWN_WITHIN_MS,
    wait(unknown, signal) {
      if (unknown.length === 0) return
      const launches = unknown.flatMap(({ of }) => ('launch' in of ? [of.launch] : []))
      const losses = unknown.flatMap(({ of }) => ('loss' in of ? [of.loss] : []))
      for (const launch of launches) launch.storedOffset = undefined
      for (const loss of losses) resting.add(loss)
      const inMs = pauseOf([...launches, ...losses])
      const runs = unknown.slice(0, 10).map(({ piece }) => piece.run)
      log.info({ runs, count: unknown.length, inMs }, 'output.later')
      const waited = () => {
        for (const loss of losses) resting.delete(loss)
        again(launches)
      }
      clock.sleep(inMs, signal).then(waited, () => undefined)
    },
  }
}
