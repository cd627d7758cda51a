import { expect, test } from 'vitest'
import { firstBatch } from './batch-limits.ts'
import type { Txn } from './types.ts'

const put = (key: string, value = ''): Txn => ({ compare: [], then: [{ put: key, value }] })
const read = (key: string): Txn => ({ compare: [{ key, mod: 0 }], then: [] })
const wipe = (prefix: string): Txn => ({ compare: [], then: [{ delete: prefix, prefix: true }] })

test('an empty list makes no batch; a single transaction always fits', () => {
  expect(firstBatch([])).toBe(0)
  expect(firstBatch([put('a', 'x'.repeat(5_000_000))])).toBe(1)
})

test('a batch has at most 100 transactions', () => {
  expect(firstBatch(Array.from({ length: 150 }, (_, n) => put(`k${n}`)))).toBe(100)
})

test('no transaction names a key that another one writes', () => {
  expect(firstBatch([put('a'), put('b'), put('a'), put('c')])).toBe(2)
  expect(firstBatch([put('a'), read('a')])).toBe(1)
  expect(firstBatch([read('a'), put('a')])).toBe(1)
})

test('all transactions may name a key that is only read', () => {
  expect(firstBatch([read('a'), read('a'), { ...put('b'), compare: [{ key: 'a', mod: 0 }] }])).toBe(3)
})

test('no other transaction touches a deleted prefix, before or after', () => {
  expect(firstBatch([wipe('a/'), put('b'), put('a/1')])).toBe(2)
  expect(firstBatch([put('a/1'), wipe('a/')])).toBe(1)
  expect(firstBatch([wipe('a/'), wipe('a/b/')])).toBe(1)
  expect(firstBatch([wipe('a/b/'), wipe('a/')])).toBe(1)
  expect(firstBatch([wipe('a/'), wipe('b/')])).toBe(2)
})

test('a batch has at most 1 MiB, counted in bytes', () => {
  expect(firstBatch([put('a', 'ü'.repeat(300_000)), put('b', 'ü'.repeat(300_000))])).toBe(1)
  expect(firstBatch([put('a', 'u'.repeat(300_000)), put('b', 'u'.repeat(300_000))])).toBe(2)
})
