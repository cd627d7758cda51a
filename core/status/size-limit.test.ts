import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { firstLine, head, jsonBytes, LARGEST_STATUS, short, tail, withFittingRuns } from './size-limit.ts'

const anyText = fc.string({ unit: 'binary', maxLength: 400 })

describe('text is cut', () => {
  test('to at most its limit in bytes, and only if it is longer', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 3, max: 300 }), (text, bytes) => {
        const fits = jsonBytes(text.toWellFormed()) - 2 <= bytes
        for (const cut of [head(text, bytes), tail(text, bytes)]) {
          expect(jsonBytes(cut) - 2).toBeLessThanOrEqual(bytes)
          expect(cut.isWellFormed()).toBe(true)
          expect(cut === text.toWellFormed()).toBe(fits)
        }
        expect(text.toWellFormed().endsWith(tail(text, bytes))).toBe(true)
      }),
    )
  })

  test('between characters, never within one', () => {
    expect(tail('🦊🦊🦊', 10)).toBe('🦊🦊')
    expect(head('🦊🦊🦊', 10)).toBe('🦊…')
    expect(short('🦊🦊🦊', 2)).toBe('🦊…')
    expect(tail('\udd8a tail', 100)).toBe('\ufffd tail')
  })

  test('characters that a Go server escapes count with their escaped length', () => {
    expect(jsonBytes('<>&')).toBe(20)
    expect(jsonBytes('\n"ü')).toBe(8)
  })
})

test('the first line is the first one that is not blank', () => {
  expect(firstLine('\n   \n  df -h && free -m \nmore', 80)).toBe('df -h && free -m')
  expect(firstLine('x'.repeat(81), 80)).toBe(`${'x'.repeat(79)}…`)
  expect(firstLine('', 80)).toBe('')
})

test('only as many runs as necessary are removed, the oldest first', () => {
  const run = (n: number) => ({ id: `${n}`.padEnd(1_000, '.') })
  const status = { other: 'x', runs: Array.from({ length: 40 }, (_, n) => run(n)) }
  const kept = withFittingRuns(status)
  expect(kept.runs).toEqual(status.runs.slice(0, 16))
  expect(jsonBytes(kept)).toBeLessThanOrEqual(LARGEST_STATUS)
  const few = { runs: [run(1)] }
  expect(withFittingRuns(few)).toBe(few)
})
