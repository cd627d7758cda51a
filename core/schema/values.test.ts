import { expect, test } from 'vitest'
import { bytesOf, labels, millisOf } from './values.ts'

test.each([
  ['10Mi', 10_485_760],
  ['1.5k', 1_500],
  [512, 512],
  ['0', 0],
])('%s are %d bytes', (quantity, bytes) => {
  expect(bytesOf(quantity)).toBe(bytes)
})

test.each([
  ['500m', 500],
  ['0.5', 500],
  [2, 2_000],
])('%s CPUs are %d thousandths', (quantity, millis) => {
  expect(millisOf(quantity)).toBe(millis)
})

test('the number of labels is limited', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, '']))
  expect(labels.safeParse(many(64)).success).toBe(true)
  expect(labels.safeParse(many(65)).error?.issues[0]?.message).toBe('must have at most 64 labels')
})
