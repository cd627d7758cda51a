export interface BackoffOptions {
  /** The longest delay after the first failure, ms. */
  firstMs: number
  /** No delay is longer than this, ms. */
  longestMs: number
  /** Returns a number from 0 (the shortest delay) to 1 (the full delay). Tests pass their own. */
  random?: () => number
}

/** Maps the number of failures in a row (1: the first) to the delay before the next try, ms. */
export type Backoff = (failures: number) => number

/** Keeps the power finite. This many doublings exceed any limit. */
const MOST_DOUBLINGS = 30

/**
 * Exponential backoff with jitter: each failure doubles the delay up to a limit, and a random half of it is taken off, so that clients
 * that failed together do not return together ("equal jitter").
 */
export function createBackoff({ firstMs, longestMs, random = Math.random }: BackoffOptions): Backoff {
  return failures => jitter(doubled(firstMs, longestMs, failures), random)
}

/** Takes up to half off, at random. */
export function jitter(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (0.5 + random() / 2))
}

function doubled(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(firstMs * 2 ** Math.min(Math.max(failures - 1, 0), MOST_DOUBLINGS), longestMs)
}
