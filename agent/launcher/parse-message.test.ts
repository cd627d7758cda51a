import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseMessage } from './parse-message.ts'

const frame = (message: object) => Buffer.from(JSON.stringify(message))

test.each([1, 2, 3, 3_070, 6_143, 6_144, 6_145, 65_536, 1_000_001])(
  '%i bytes of output are decoded without a change',
  length => {
    const bytes = randomBytes(length)
    const read = { type: 'read', seq: 7, data: bytes.toString('base64'), next: 9, end: false }
    const { data, ...rest } = parseMessage(frame(read)) as { data: string | Buffer }
    expect(Buffer.from(data as string, 'base64')).toEqual(bytes)
    expect(rest).toEqual({ type: 'read', seq: 7, next: 9, end: false })
    expect(typeof data).toBe(frame(read).length < 4_096 ? 'string' : 'object')
  },
)

test('output without padding, and messages that only look like output, are parsed without a change', () => {
  const bytes = randomBytes(10_000)
  const unpadded = {
    type: 'read',
    seq: 1,
    data: bytes.toString('base64').replace(/=+$/, ''),
    next: 1,
    end: true,
  }
  expect(parseMessage(frame(unpadded))).toEqual({ ...unpadded, data: bytes })
  const failed = { type: 'read', seq: 1, error: `"data":"${'x'.repeat(5_000)}`, data: '', next: 1, end: true }
  expect(parseMessage(frame(failed))).toEqual({ ...failed, data: Buffer.alloc(0) })
  const runs = { type: 'runs', seq: 1, runs: [{ id: '"data":"' }, { id: 'é'.repeat(5_000) }], more: false }
  expect(parseMessage(frame(runs))).toEqual(runs)
})

test('a message that is not JSON throws a SyntaxError', () => {
  expect(() => parseMessage(Buffer.from(`{"type":"read"${' '.repeat(5_000)}`))).toThrow(SyntaxError)
  expect(() => parseMessage(Buffer.from(`{"type":"read","data":"${'A'.repeat(5_000)}",`))).toThrow(
    SyntaxError,
  )
})
