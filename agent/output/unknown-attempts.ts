import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { BatchItem } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'

/**
 * Retries output and losses of attempts that the operator does not know yet, with exponential backoff. The first delay is short, because
 * the claim may be only a moment old. A retry asks without sending the output again. It goes on as long as the quota holds the output, and
 * does not delay other output.
 */
export interface UnknownAttempts {
  /** Losses that wait for their retry. */
  readonly pendingLosses: ReadonlySet<Loss>
  /** Whether the operator may still learn of the attempt, so that a retry makes sense. */
  mayBecomeKnown(source: BatchItem['source']): boolean
  retryLater(unknown: readonly BatchItem[], signal: AbortSignal): void
}

export interface UnknownAttemptsOptions {
  clock: Clock
  log: Log
  /** For the jitter of the backoff, from 0 to 1. */
  random(): number
  /** The delay is over. Losses among the retried items are no longer pending. */
  onRetry(launches: readonly Launch[]): void
}

/** If the operator does not know an attempt this long after its end, it never will: nobody receives a loss of it, ms. */
const KNOWN_WITHIN_MS = 86_400_000

export function createUnknownAttempts(options: UnknownAttemptsOptions): UnknownAttempts {
  const { clock, log, random, onRetry } = options
  const backoff = createBackoff({ firstMs: 250, longestMs: 60_000, random })
  const pendingLosses = new Set<Loss>()
  const retries = new WeakMap<Launch | Loss, number>()
  /** One delay for all items: that of the item with the fewest retries. */
  const delayOf = (items: readonly (Launch | Loss)[]): number => {
    const before = items.map(each => retries.get(each) ?? 0)
    for (const [index, each] of items.entries()) retries.set(each, (before[index] ?? 0) + 1)
    return backoff(Math.min(...before) + 1)
  }
  return {
    pendingLosses,
    mayBecomeKnown: source => 'launch' in source || clock.now() - source.loss.at < KNOWN_WITHIN_MS,
    retryLater(unknown, signal) {
      if (unknown.length === 0) return
      const launches = unknown.flatMap(({ source }) => ('launch' in source ? [source.launch] : []))
      const losses = unknown.flatMap(({ source }) => ('loss' in source ? [source.loss] : []))
      for (const launch of launches) launch.storedOffset = undefined
      for (const loss of losses) pendingLosses.add(loss)
      const inMs = delayOf([...launches, ...losses])
      const runs = unknown.slice(0, 10).map(({ piece }) => piece.run)
      log.info({ runs, count: unknown.length, inMs }, 'output.later')
      const retry = () => {
        for (const loss of losses) pendingLosses.delete(loss)
        onRetry(launches)
      }
      clock.sleep(inMs, signal).then(retry, () => undefined)
    },
  }
}
