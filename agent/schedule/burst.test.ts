import { expect, test } from 'vitest'
import { createBursts } from './burst.ts'
import type { Slot } from './timetables.ts'

const slot = (n: number) => `job ${n}` as Slot
const T = 1_800_000_000_500

test('a few that come due together are claimed as early as one', () => {
  const crowd = createBursts()
  for (let n = 0; n < 300; n++) expect(crowd.join(slot(n), T, T - 60_000)).toBe(0)
})

test('of many each is claimed earlier than the one before, and none more than 5 s', () => {
  const crowd = createBursts()
  const by = Array.from({ length: 12_000 }, (_, n) => crowd.join(slot(n), T, T - 60_000))
  expect(by[299]).toBe(0)
  expect(by[1_000]).toBe(600)
  expect(by[5_000]).toBe(3_000)
  expect(by.at(-1)).toBe(5_000)
  expect(by).toEqual(by.toSorted((a, b) => a - b))
})

test('what comes due in other seconds does not count', () => {
  const crowd = createBursts()
  const by = Array.from({ length: 2_000 }, (_, n) => crowd.join(slot(n), T + n * 1_000, T - 60_000))
  expect(Math.max(...by)).toBe(0)
})

test('who left does not count, and who joins again counts once', () => {
  const crowd = createBursts()
  for (let n = 0; n < 2_000; n++) crowd.join(slot(n), T, T - 60_000)
  expect(crowd.leave(slot(1_000))).toBe(600)
  expect(crowd.leave(slot(1_000))).toBe(0)
  for (let n = 0; n < 2_000; n++) crowd.leave(slot(n))
  expect(crowd.join(slot(0), T, T - 60_000)).toBe(0)
  for (let again = 0; again < 2_000; again++) expect(crowd.join(slot(1), T, T - 60_000)).toBe(0)
})

test('what is near is nobody’s crowd: it is looked at again at once otherwise', () => {
  const crowd = createBursts()
  for (let n = 0; n < 2_000; n++) crowd.join(slot(n), T, T - 60_000)
  expect(crowd.join(slot(5_000), T, T - 9_000)).toBe(0)
})
