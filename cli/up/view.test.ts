import { expect, test } from 'vitest'
import { sizeOf } from './view.ts'

test('a terminal that says 0 x 0 has the default size, as one that says nothing', () => {
  const write = () => undefined
  expect(sizeOf({ write, columns: 0, rows: 0 })).toEqual({ width: 120, height: 23 })
  expect(sizeOf({ write })).toEqual({ width: 120, height: 23 })
  expect(sizeOf({ write, columns: 80, rows: 40 })).toEqual({ width: 80, height: 39 })
})
