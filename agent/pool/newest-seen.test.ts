import { expect, test } from 'vitest'
import { jobEntry } from '../../test/fixtures/job-entry.ts'
import { createNewestSeen } from './newest-seen.ts'

const entry = (generation: number, written?: number) => ({
  ...jobEntry({}),
  uid: 'u',
  generation,
  ...(written === undefined ? {} : { written }),
})

test('an older generation is refused, and an older write of the same generation', () => {
  const newest = createNewestSeen()
  expect(newest.admits(entry(2, 20))).toBe(true)
  expect(newest.admits(entry(1, 10))).toBe(false)
  expect(newest.admits(entry(2, 19))).toBe(false)
  expect(newest.admits(entry(2, 20))).toBe(true)
  expect(newest.admits(entry(2, 21))).toBe(true)
  expect(newest.admits(entry(2, 20))).toBe(false)
})

test('after a deletion only a later write is admitted', () => {
  const newest = createNewestSeen()
  newest.admits(entry(1, 10))
  newest.deleted('u')
  expect(newest.admits(entry(1, 10))).toBe(false)
  expect(newest.admits(entry(1, 11))).toBe(true)
  expect(newest.admits(entry(1, 11))).toBe(true)
})

test('writes without numbers are judged by their generation', () => {
  const newest = createNewestSeen()
  expect(newest.admits(entry(2))).toBe(true)
  newest.deleted('u')
  expect(newest.admits(entry(2))).toBe(true)
  expect(newest.admits(entry(1))).toBe(false)
})
