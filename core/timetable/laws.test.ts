import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DaylightSaving } from './daylight-saving.ts'
import { createTimetable } from './timetable.ts'
import { pieceAt, type Zone, zoneOf } from './zone.ts'

/** Zones with half-hour and two-hour shifts, gaps at midnight, a skipped day, and two shifts in one month. */
const ODD = [
  'Australia/Lord_Howe',
  'Antarctica/Troll',
  'America/Asuncion',
  'Africa/Cairo',
  'Asia/Beirut',
  'America/Havana',
  'Pacific/Apia',
  'Africa/Casablanca',
]
const ALL = Intl.supportedValuesOf('timeZone')
const POLICIES: DaylightSaving[] = [
  { skipped: 'RunAfter', repeated: 'RunOnce' },
  { skipped: 'RunAfter', repeated: 'RunTwice' },
  { skipped: 'Skip', repeated: 'RunOnce' },
  { skipped: 'Skip', repeated: 'RunTwice' },
]
const LINES = [
  '* * * * * *',
  '*/7 * * * *',
  '0 * * * *',
  '30 2 * * *',
  '0,15,30 0-3 * * *',
  '59 23 * * *',
  '0 0 * * *',
  '10 0 1 * SUN',
  '0 3 L * *',
  '15 1 * * 0L',
  '*/20 30 1 * * *',
  '@every 7m',
  '@every 97s',
]
const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.UTC(1976, 0, 1)
const END = Date.UTC(2036, 0, 1)

/** All shifts of a zone that lie in [from, to), ms. */
function shiftsOf(name: string, from: number, to: number): number[] {
  const zone = zoneOf(name) as Zone
  const shifts: number[] = []
  let piece = pieceAt(zone, from / 1_000)
  while (piece.end * 1_000 < to) {
    const next = pieceAt(zone, piece.end)
    if (next.offset !== piece.offset) shifts.push(next.start * 1_000)
    piece = next
  }
  return shifts
}

const timetable = (schedules: readonly string[], timeZone: string, daylightSaving: DaylightSaving) =>
  createTimetable({ schedules, timeZone, daylightSaving, hashKey: 'ops/job' })

/** Violations of the law near one shift: for a time x near the shift and each line, three times y between x and next(x). */
function violationsAt(shift: number, zone: string): string[] {
  const samples = LINES.flatMap((line, i) => {
    const table = timetable([line], zone, POLICIES[(i + (shift % 7)) % POLICIES.length] as DaylightSaving)
    const x = shift - ((i * 7_919_011) % (3 * HOUR))
    const next = table.next(x) as number
    return [x + 1, Math.floor((x + next) / 2), next - 1].map(y => ({ line, table, y, next }))
  })
  return samples
    .filter(({ table, y, next }) => y < next && table.next(y) !== next)
    .map(({ line, y }) => `${line} ${zone} ${y}`)
}

const zones = fc.oneof(fc.constantFrom(...ODD), fc.constantFrom(...ALL))
const policies = fc.constantFrom(...POLICIES)
/** Times within two days of a shift, if the zone has one. */
const moments = fc
  .record({
    zone: zones,
    at: fc.integer({ min: START, max: END }),
    nudge: fc.integer({ min: -2 * DAY, max: DAY }),
  })
  .map(({ zone, at, nudge }) => ({ zone, at: (shiftsOf(zone, at, at + 300 * DAY)[0] ?? at) + nudge }))

describe('next is constant between two fires', () => {
  test('x < y < next(x) ⇒ next(y) = next(x), at every shift of every zone in six years', () => {
    const violations: string[] = []
    for (const zone of new Set([...ODD, ...ALL]))
      for (const shift of shiftsOf(zone, Date.UTC(2009, 0, 1), Date.UTC(2015, 0, 1)))
        violations.push(...violationsAt(shift, zone))
    expect(violations).toEqual([])
  })

  test('x < y < next(x) ⇒ next(y) = next(x), anywhere', () => {
    fc.assert(
      fc.property(
        moments,
        fc.constantFrom(...LINES),
        policies,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ zone, at }, line, policy, share) => {
          const table = timetable([line], zone, policy)
          const next = table.next(at) as number
          expect(next).toBeGreaterThan(at)
          const y = Math.floor(at + (next - 1 - at) * share)
          expect(table.next(y)).toBe(next)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

test('previous is the inverse of next', () => {
  fc.assert(
    fc.property(
      moments,
      fc.subarray(LINES, { minLength: 1, maxLength: 3 }),
      policies,
      ({ zone, at }, lines, policy) => {
        const table = timetable(lines, zone, policy)
        const next = table.next(at) as number
        expect(table.previous(next + 1)).toBe(next)
        const previous = table.previous(next) as number
        expect(previous).toBeLessThanOrEqual(at)
        expect(table.next(previous)).toBe(next)
      },
    ),
    { numRuns: 600 },
  )
})

test('missed returns the first, last and count of the times that repeated calls of next return', () => {
  const spans = fc.integer({ min: 1, max: 3 * DAY })
  const sparse = LINES.filter(line => !line.startsWith('* *'))
  fc.assert(
    fc.property(
      moments,
      fc.subarray(sparse, { minLength: 1, maxLength: 4 }),
      policies,
      spans,
      ({ zone, at }, lines, policy, span) => {
        const table = timetable(lines, zone, policy)
        const walked: number[] = []
        for (let fire = table.next(at); fire !== undefined && fire <= at + span; fire = table.next(fire))
          walked.push(fire)
        const expected =
          walked.length === 0 ? undefined : { first: walked[0], last: walked.at(-1), count: walked.length }
        expect(table.missed(at, at + span)).toEqual(expected)
      },
    ),
    { numRuns: 500 },
  )
})

test('missed counts every second of ten years without iterating over them', () => {
  const table = timetable(
    ['* * * * * *', '@every 7s', '0 3 * * *'],
    'Europe/Berlin',
    POLICIES[0] as DaylightSaving,
  )
  expect(table.missed(0, 10 * 365 * DAY)).toEqual({
    first: 1_000,
    last: 10 * 365 * DAY,
    count: 10 * 365 * 86_400,
  })
})

test('the offsets of every zone equal those of Intl', () => {
  const wrong: string[] = []
  for (const name of ALL) {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      dateStyle: 'short',
      timeStyle: 'medium',
    })
    for (let at = START + name.length * 3_571_000; at < END; at += 211 * DAY + 5 * HOUR) {
      const local = Date.parse(`${format.format(at)} UTC`)
      if (local - at + (at % 1_000) !== pieceAt(zoneOf(name) as Zone, at / 1_000).offset * 1_000)
        wrong.push(`${name} ${at}`)
    }
  }
  expect(wrong).toEqual([])
})

describe('compared with a clock that is read every minute', () => {
  const someOf = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 3 })
  const minutes = fc.oneof(
    someOf(59).map(values => ({ text: values.join(','), values, repeats: false })),
    fc
      .constantFrom(5, 7, 20)
      .map(step => ({ text: `*/${step}`, values: multiples(step, 60), repeats: true })),
  )
  const hours = fc.oneof(
    someOf(4).map(values => ({ text: values.join(','), values, repeats: false })),
    fc.constant({ text: '0-3', values: multiples(1, 4), repeats: false }),
    fc.constant({ text: '*', values: multiples(1, 24), repeats: true }),
    fc.constant({ text: '0/1', values: multiples(1, 24), repeats: true }),
    fc.constant({ text: '0-22/2', values: multiples(2, 24), repeats: true }),
  )
  const weekdays = fc.constantFrom<{ text: string; values: number[] }>(
    { text: '*', values: multiples(1, 7) },
    { text: '0,6', values: [0, 6] },
  )

  test('fires follow the daylight saving policy around shifts of all zones', () => {
    fc.assert(
      fc.property(
        moments,
        minutes,
        hours,
        weekdays,
        policies,
        ({ zone, at }, minute, hour, weekday, policy) => {
          const interval = minute.repeats || hour.repeats
          const table = timetable([`${minute.text} ${hour.text} * * ${weekday.text}`], zone, policy)
          const matches = (local: number) => {
            const time = new Date(local)
            return (
              minute.values.includes(time.getUTCMinutes()) &&
              hour.values.includes(time.getUTCHours()) &&
              weekday.values.includes(time.getUTCDay())
            )
          }
          const start = Math.floor(at / 60_000) * 60_000
          const expected = firesByClock({ zone, start, end: start + 2 * DAY }, { matches, interval, policy })
          const found: number[] = []
          for (
            let fire = table.next(start - 1);
            fire !== undefined && fire < start + 2 * DAY;
            fire = table.next(fire)
          )
            found.push(fire)
          expect(found).toEqual(expected)
        },
      ),
      { numRuns: 150 },
    )
  })
})

function multiples(step: number, end: number): number[] {
  return Array.from({ length: Math.ceil(end / step) }, (_, i) => i * step)
}

interface Rule {
  matches: (local: number) => boolean
  interval: boolean
  policy: DaylightSaving
}

/** The fires in [start, end), found by reading the zone's clock every minute from two days before. */
function firesByClock(
  { zone, start, end }: { zone: string; start: number; end: number },
  rule: Rule,
): number[] {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    dateStyle: 'short',
    timeStyle: 'short',
  })
  const fires: number[] = []
  let frontier: number | undefined
  for (let at = start - 2 * DAY; at < end; at += 60_000) {
    const local = Date.parse(`${format.format(at)} UTC`)
    const shown = frontier ?? local
    const again = local < shown && !rule.interval && rule.policy.repeated === 'RunOnce'
    const firesAtEndOfGap =
      !rule.interval && rule.policy.skipped === 'RunAfter' && anyOf(shown, local, rule.matches)
    if (at >= start && (firesAtEndOfGap || (rule.matches(local) && !again))) fires.push(at)
    frontier = Math.max(shown, local + 60_000)
  }
  return fires
}

function anyOf(from: number, to: number, matches: (local: number) => boolean): boolean {
  for (let local = from; local < to; local += 60_000) if (matches(local)) return true
  return false
}
