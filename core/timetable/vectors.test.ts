import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { InvalidInput } from '../errors.ts'
import { createTimetable, type Timetable } from './timetable.ts'

interface Vector {
  id: string
  expr_norm: string
  tz: string
  from: string
  next?: string[]
  kind?: 'match' | 'no-match' | 'unsatisfiable'
  must_not_fire_at?: string
  class: string
}

const file = new URL('../../test/vectors/cron.json', import.meta.url)
const { vectors, must_reject: rejected } = JSON.parse(readFileSync(file, 'utf8')) as {
  vectors: Vector[]
  must_reject: { expr: string }[]
}

function timetable(schedule: string, timeZone = 'UTC'): Timetable {
  return createTimetable({
    schedules: [schedule],
    timeZone,
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    hashKey: 'ops/job',
  })
}

function tryTimetable(schedule: string, timeZone: string): Timetable | InvalidInput {
  try {
    return timetable(schedule, timeZone)
  } catch (error) {
    if (error instanceof InvalidInput) return error
    throw error
  }
}

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())

function fires(of: Timetable, from: string, count: number): (string | undefined)[] {
  const found: (string | undefined)[] = []
  for (let at: number | undefined = Date.parse(from); at !== undefined && found.length < count; ) {
    at = of.next(at)
    found.push(iso(at))
  }
  return found
}

/** Its hours field has a step, so the line follows the wall clock here (docs/adr/0001-own-cron-parser.md). */
const OVERRULED = { id: 'v0575', next: '2016-03-13T08:00:00.000Z' }

describe('vectors of public test suites', () => {
  test.each(vectors.filter(({ id }) => id !== OVERRULED.id))('$id $class: $expr_norm in $tz', vector => {
    const built = tryTimetable(vector.expr_norm, vector.tz)
    if (vector.kind === 'unsatisfiable') {
      expect(built).toBeInstanceOf(InvalidInput)
      return
    }
    if (built instanceof InvalidInput) {
      expect(vector.class, built.message).toBe('extension')
      return
    }
    if (vector.must_not_fire_at) {
      const at = Date.parse(vector.must_not_fire_at)
      expect(iso(built.next(at - 1))).not.toBe(iso(at))
      return
    }
    const expected = (vector.next ?? []).map(at => iso(Date.parse(at)))
    expect(fires(built, vector.from, expected.length)).toEqual(expected)
  })

  test('the vector with a step in hours is overruled', () => {
    const { expr_norm, tz, from } = vectors.find(({ id }) => id === OVERRULED.id) as Vector
    expect(fires(timetable(expr_norm, tz), from, 1)).toEqual([OVERRULED.next])
  })

  test.each(rejected)('refused: $expr', ({ expr }) => {
    expect(() => timetable(expr)).toThrow(InvalidInput)
  })
})
