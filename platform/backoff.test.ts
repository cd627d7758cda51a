import { expect, test } from 'vitest'
import { createBackoff, jitter } from './backoff.ts'

test('each failure doubles the delay, up to the limit', () => {
  const backoff = createBackoff({ firstMs: 100, longestMs: 1_000, random: () => 1 })
  expect([1, 2, 3, 4, 5, 6, 1_000].map(backoff)).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000])
})

test('jitter shortens a delay by at most half', () => {
  const shortest = createBackoff({ firstMs: 100, longestMs: 1_000, random: () => 0 })
  expect([1, 2, 3].map(shortest)).toEqual([50, 100, 200])
  expect(jitter(100, () => 0.5)).toBe(75)
})

test('two clients that fail together do not return together', () => {
  const backoff = createBackoff({ firstMs: 60_000, longestMs: 60_000 })
  expect(new Set(Array.from({ length: 20 }, () => backoff(1))).size).toBeGreaterThan(1)
})
