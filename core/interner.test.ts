import { expect, test } from 'vitest'
import { createInterner, internFields } from './interner.ts'

test('equal values become one object; others stay as they are', () => {
  const intern = createInterner()
  const first = intern({ a: [1, 2] })
  expect(intern({ a: [1, 2] })).toBe(first)
  expect(intern({ a: [2, 1] })).toEqual({ a: [2, 1] })
  expect(intern(undefined)).toBeUndefined()
})

test('an absent field stays absent', () => {
  const of: { a?: string[]; b?: string[] } = { a: ['x'] }
  internFields(createInterner(), of, ['a', 'b'])
  expect(of).toStrictEqual({ a: ['x'] })
})
