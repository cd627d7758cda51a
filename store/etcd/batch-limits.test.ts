import { expect, test } from 'vitest'
import { firstBatch } from './batch-limits.ts'
import type { Txn } from './types.ts'

const put = (key: string, value = ''): Txn => ({ compare: [], then: [{ put: key, value }] })
const read = (key: string): Txn => ({ compare: [{ key, mod: 0 }], then: [] })
const wipe = (prefix: string): Txn => ({ compare: [], then: [{ delete: prefix, prefix: true }] })

test('nothing is no batch, one is always one', () => {
  expect(firstBatch([])).toBe(0)
  expect(firstBatch([put('a', 'x'.repeat(5_000_000))])).toBe(1)
})

test('at most 100 members', () => {
  expect(firstBatch(Array.from({ length: 150 }, (_, n) => put(`k${n}`)))).toBe(100)
})

test('a key that one writes is named by no other', () => {
  expect(firstBatch([put('a'), put('b'), put('a'), put('c')])).toBe(2)
  expect(firstBatch([put('a'), read('a')])).toBe(1)
  expect(firstBatch([read('a'), put('a')])).toBe(1)
})

test('a key that is only read may be named by all', () => {
  expect(firstBatch([read('a'), read('a'), { ...put('b'), compare: [{ key: 'a', mod: 0 }] }])).toBe(3)
})

test('a deleted prefix is touched by no other, before or after', () => {
  expect(firstBatch([wipe('a/'), put('b'), put('a/1')])).toBe(2)
  expect(firstBatch([put('a/1'), wipe('a/')])).toBe(1)
  expect(firstBatch([wipe('a/'), wipe('a/b/')])).toBe(1)
  expect(firstBatch([wipe('a/b/'), wipe('a/')])).toBe(1)
  expect(firstBatch([wipe('a/'), wipe('b/')])).toBe(2)
})

test('at most 1 MiB, counted in bytes', () => {
  expect(firstBatch([put('a', 'ü'.repeat(300_000)), put('b', 'ü'.repeat(300_000))])).toBe(1)
  expect(firstBatch([put('a', 'u'.repeat(300_000)), put('b', 'u'.repeat(300_000))])).toBe(2)
})
