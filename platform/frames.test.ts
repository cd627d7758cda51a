import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from './frames.ts'

test('encoded values are decoded, however the stream is split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (values, cuts) => {
        const bytes = Buffer.concat(values.map(encodeFrame))
        const decoder = new FrameDecoder()
        const decoded: unknown[] = []
        for (let from = 0, n = 0; from < bytes.length; n++) {
          const to = from + (cuts[n % cuts.length] ?? 1)
          decoded.push(...decoder.push(bytes.subarray(from, to)))
          from = to
        }
        expect(decoded).toEqual(JSON.parse(JSON.stringify(values)))
      },
    ),
  )
})

test('a frame of 16 MiB is accepted, a longer one refused by both sides', () => {
  const longest = 'x'.repeat(MAX_FRAME_BYTES - 2)
  expect(new FrameDecoder().push(encodeFrame(longest))).toEqual([longest])
  expect(() => encodeFrame(`${longest}x`)).toThrow(RangeError)
  const header = Buffer.alloc(4)
  header.writeUInt32BE(MAX_FRAME_BYTES + 1)
  expect(() => new FrameDecoder().push(header)).toThrow(RangeError)
})

test('invalid JSON is a SyntaxError', () => {
  expect(() => new FrameDecoder().push(Buffer.from([0, 0, 0, 1, 0x7b]))).toThrow(SyntaxError)
})
