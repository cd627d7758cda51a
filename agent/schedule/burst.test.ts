import { expect, test } from 'vitest'
import { createBursts } from './burst.ts'
import type { Slot } from './timetables.ts'

const slot = (n: number) => `job ${n}` as Slot
const T = 1_800_000_000_500

test('300 times that are due in one second are claimed no earlier than one', () => {
  const bursts = createBursts()
  for (let n = 0; n < 300; n++) expect(bursts.join(slot(n), T, T - 60_000)).toBe(0)
})

test('in a larger burst each time is claimed earlier than the one before, by at most 5 s', () => {
  const bursts = createBursts()
  const by = Array.from({ length: 12_000 }, (_, n) => bursts.join(slot(n), T, T - 60_000))
  expect(by[299]).toBe(0)
  expect(by[1_000]).toBe(600)
  expect(by[5_000]).toBe(3_000)
  expect(by.at(-1)).toBe(5_000)
  expect(by).toEqual(by.toSorted((a, b) => a - b))
})

test('times of other seconds are not part of the burst', () => {
  const bursts = createBursts()
  const by = Array.from({ length: 2_000 }, (_, n) => bursts.join(slot(n), T + n * 1_000, T - 60_000))
  expect(Math.max(...by)).toBe(0)
})

test('a slot that left does not count, and a slot that joins again counts once', () => {
  const bursts = createBursts()
  for (let n = 0; n < 2_000; n++) bursts.join(slot(n), T, T - 60_000)
  expect(bursts.leave(slot(1_000))).toBe(600)
  expect(bursts.leave(slot(1_000))).toBe(0)
  for (let n = 0; n < 2_000; n++) bursts.leave(slot(n))
  expect(bursts.join(slot(0), T, T - 60_000)).toBe(0)
  for (let again = 0; again < 2_000; again++) expect(bursts.join(slot(1), T, T - 60_000)).toBe(0)
})

test('a time less than 10 s ahead is not part of a burst', () => {
  const bursts = createBursts()
  for (let n = 0; n < 2_000; n++) bursts.join(slot(n), T, T - 60_000)
  expect(bursts.join(slot(5_000), T, T - 9_000)).toBe(0)
})
