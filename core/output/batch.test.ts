import { describe, expect, test } from 'vitest'
import { InvalidInput } from '../errors.ts'
import { type BatchPiece, decodeAnswer, decodeBatch, encodeAnswer, encodeBatch } from './batch.ts'
import { chunksOf, cutChunk, lostChunk, outputBytes, stopChunk, wholeChunks } from './chunks.ts'

const piece = (over: Partial<BatchPiece>): BatchPiece => ({
  uid: 'u',
  run: 'ns.job.1',
  attempt: 1,
  namespace: 'ns',
  name: 'job',
  offset: 0,
  next: 0,
  chunks: new Uint8Array(),
  ...over,
})
const cut = cutChunk({ at: 5, stdout: 3, stderr: 0, error: 'ENOSPC' })
const joined = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap(part => [...part]))
const batch = (...pieces: BatchPiece[]) => joined(encodeBatch({ pool: 'p', agent: 'a', pieces }))

describe('a batch', () => {
  test('decodes to the value that was encoded', () => {
    const pieces = [
      piece({ offset: 10, next: 10 + cut.length, chunks: cut, end: true }),
      piece({ run: 'ä', total: 7, offset: 3, next: 3, chunks: cut }),
      piece({}),
    ]
    expect(decodeBatch(batch(...pieces))).toEqual({ pool: 'p', agent: 'a', pieces })
  })

  test.each([
    ['nothing', new Uint8Array()],
    ['too little', batch(piece({ next: cut.length, chunks: cut })).subarray(0, -1)],
    ['too much', joined([batch(piece({})), new Uint8Array(1)])],
    ['half a chunk', batch(piece({ next: 5, chunks: cut.subarray(0, 5) }))],
    ['a position that is not where its chunks end', batch(piece({ next: 1 }))],
    ['a negative position', batch(piece({ offset: -1, next: -1 }))],
    ['noise', joined([new Uint8Array([0, 0, 0, 2]), new Uint8Array([123, 125])])],
  ])('with %s is refused', (_, bytes) => {
    expect(() => decodeBatch(bytes)).toThrow(InvalidInput)
  })
})

test('an answer must have as many entries as the batch has pieces', () => {
  const answers = [{ stored: 4 }, { stored: 0, refused: 'NotYours' }]
  expect(decodeAnswer(encodeAnswer(answers), 2)).toEqual(answers)
  expect(() => decodeAnswer(encodeAnswer(answers), 1)).toThrow('2 answers to 1 pieces')
})

test('cut and lost chunks do not count as output', () => {
  const bytes = joined([cut, lostChunk({ at: 6.5, bytes: 9, next: 30 }), stopChunk({ at: 7, ended: true })])
  expect(chunksOf(bytes)).toEqual([
    { stream: 'cut', at: 5, stdout: 3, stderr: 0, error: 'ENOSPC' },
    { stream: 'lost', at: 6, bytes: 9, next: 30 },
    { stream: 'stop', at: 7, ended: true },
  ])
  expect(outputBytes(bytes)).toBe(0)
  expect(wholeChunks(bytes.subarray(0, cut.length + 5))).toBe(cut.length)
})
