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

describe('vectors of public test suites', () => {
  test.each(vectors)('$id $class: $expr_norm in $tz', vector => {
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

  test.each(rejected)('refused: $expr', ({ expr }) => {
    expect(() => timetable(expr)).toThrow(InvalidInput)
  })
})
