import { expect, test } from 'vitest'
import { createBatchBuffer } from './batch-buffer.ts'

test('what is taken lies apart, and there is no more than there is', () => {
  const room = createBatchBuffer(10)
  const [one, two] = [room.take(4), room.take(6)]
  one?.fill(1)
  two?.fill(2)
  expect([one?.length, two?.length, room.take(1)]).toEqual([4, 6, undefined])
  expect(one).toEqual(Buffer.alloc(4, 1))
})

test('after a batch the same memory serves the next; after a rest it is gone', () => {
  const room = createBatchBuffer(10)
  const first = room.take(10)
  room.clear()
  expect(room.take(3)?.buffer).toBe(first?.buffer)
  room.release()
  expect(room.take(10)?.buffer).not.toBe(first?.buffer)
})
