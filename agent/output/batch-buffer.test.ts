import { expect, test } from 'vitest'
import { createBatchBuffer } from './batch-buffer.ts'

test('taken parts do not overlap, and the buffer has a fixed size', () => {
  const buffer = createBatchBuffer(10)
  const [one, two] = [buffer.take(4), buffer.take(6)]
  one?.fill(1)
  two?.fill(2)
  expect([one?.length, two?.length, buffer.take(1)]).toEqual([4, 6, undefined])
  expect(one).toEqual(Buffer.alloc(4, 1))
})

test('clear reuses the memory; release frees it', () => {
  const buffer = createBatchBuffer(10)
  const first = buffer.take(10)
  buffer.clear()
  expect(buffer.take(3)?.buffer).toBe(first?.buffer)
  buffer.release()
  expect(buffer.take(10)?.buffer).not.toBe(first?.buffer)
})
