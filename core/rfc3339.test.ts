import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rfc3339, rfc3339Seconds } from './rfc3339.ts'

test('times are formatted as by Date, without zero milliseconds', () => {
  const within = fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 })
  fc.assert(
    fc.property(within, ms => {
      const iso = new Date(ms).toISOString()
      expect(rfc3339(ms)).toBe(iso.replace('.000Z', 'Z'))
      expect(rfc3339Seconds(ms)).toBe(iso.replace(/\.\d{3}Z$/, 'Z'))
    }),
    { numRuns: 2_000 },
  )
})

test('leap days and the ends of days are formatted correctly', () => {
  expect(rfc3339(0)).toBe('1970-01-01T00:00:00Z')
  expect(rfc3339(951_782_400_000)).toBe('2000-02-29T00:00:00Z')
  expect(rfc3339(1_709_251_199_999)).toBe('2024-02-29T23:59:59.999Z')
  expect(rfc3339(-1)).toBe('1969-12-31T23:59:59.999Z')
})
