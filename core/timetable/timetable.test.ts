import { describe, expect, test } from 'vitest'
import { InvalidInput } from '../errors.ts'
import { createTimetable, jitterMs, type TimetableSpec } from './timetable.ts'

const DEFAULT = { skipped: 'RunAfter', repeated: 'RunOnce' } as const

function timetable(schedules: string | string[], over: Partial<TimetableSpec> = {}) {
  return createTimetable({
    schedules: [schedules].flat(),
    timeZone: 'UTC',
    daylightSaving: DEFAULT,
    hashKey: 'ops/job',
    ...over,
  })
}

const at = (text: string) => Date.parse(text)
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())

/** The fires in (from, to], as local times of the given offset. */
function fires(of: ReturnType<typeof timetable>, from: string, to: string): string[] {
  const found: string[] = []
  for (let fire = of.next(at(from)); fire !== undefined && fire <= at(to); fire = of.next(fire))
    found.push(iso(fire)?.slice(0, 19) ?? '')
  return found
}

function refusal(schedules: string | string[], over: Partial<TimetableSpec> = {}): InvalidInput {
  try {
    timetable(schedules, over)
  } catch (error) {
    if (error instanceof InvalidInput) return error
    throw error
  }
  throw new Error(`${String(schedules)} is accepted`)
}

describe('daylight saving', () => {
  const newYork = (line: string, daylightSaving: TimetableSpec['daylightSaving'] = DEFAULT) =>
    timetable(line, { timeZone: 'America/New_York', daylightSaving })
  const spring = ['2016-03-13T00:00:00-05:00', '2016-03-14T00:00:00-04:00'] as const
  const autumn = ['2016-11-06T00:00:00-04:00', '2016-11-07T00:00:00-05:00'] as const

  test('a skipped fixed time runs once at the end of the gap, or not at all', () => {
    expect(fires(newYork('0,30 2 * * *'), ...spring)).toEqual(['2016-03-13T07:00:00'])
    expect(fires(newYork('30 2 * * *', { ...DEFAULT, skipped: 'Skip' }), ...spring)).toEqual([])
  })

  test('a fire moved out of the gap that meets a regular fire is one fire', () => {
    expect(fires(newYork('0 2,3 * * *'), ...spring)).toEqual(['2016-03-13T07:00:00'])
  })

  test('a repeated fixed time runs the first time only, or both times', () => {
    expect(fires(newYork('30 1 * * *'), ...autumn)).toEqual(['2016-11-06T05:30:00'])
    expect(fires(newYork('30 1 * * *', { ...DEFAULT, repeated: 'RunTwice' }), ...autumn)).toEqual([
      '2016-11-06T05:30:00',
      '2016-11-06T06:30:00',
    ])
  })

  test('an interval line follows the wall clock under every policy', () => {
    for (const skipped of ['RunAfter', 'Skip'] as const) {
      for (const repeated of ['RunOnce', 'RunTwice'] as const) {
        const policy = { skipped, repeated }
        expect(fires(newYork('*/30 1-2 * * *', policy), ...spring)).toHaveLength(2)
        expect(fires(newYork('*/30 1 * * *', policy), ...autumn)).toHaveLength(4)
        expect(fires(newYork('0 * * * *', policy), ...autumn)).toHaveLength(25)
        expect(fires(newYork('0 30 0/1 * * *', policy), ...autumn)).toHaveLength(25)
        expect(fires(newYork('30 0-23/1 * * *', policy), ...spring)).toHaveLength(23)
      }
    }
  })

  test('a plain range of hours is fixed times of day, not an interval', () => {
    expect(fires(newYork('30 0-3 * * *'), ...autumn)).toHaveLength(4)
    expect(fires(newYork('30 1-3 * * *'), ...spring)).toHaveLength(3)
  })

  test.each([
    ['America/Asuncion', '2016-10-01', '2016-10-02T04:00:00'],
    ['Africa/Cairo', '2023-04-27', '2023-04-27T22:00:00'],
    ['Asia/Beirut', '2022-03-26', '2022-03-26T22:00:00'],
    ['America/Havana', '2016-03-12', '2016-03-13T05:00:00'],
  ])('a midnight that %s skips runs when the day begins', (timeZone, day, expected) => {
    const daily = timetable('@daily', { timeZone })
    expect(fires(daily, `${day}T12:00:00Z`, `${expected}Z`)).toEqual([expected])
  })

  test('a job on a day that the zone skips runs after the gap', () => {
    const apia = timetable('0 12 30 12 *', { timeZone: 'Pacific/Apia' })
    expect(iso(apia.next(at('2011-12-01T00:00:00Z')))).toBe('2011-12-30T10:00:00.000Z')
  })

  test('the search for a time that the zone skips every year ends', () => {
    const never = newYork('30 2 8-14 3 ?', { ...DEFAULT, skipped: 'Skip' })
    expect(never.next(at('2026-01-01T00:00:00Z'))).toBeDefined()
    const secondSunday = newYork('30 2 ? 3 0#2', { ...DEFAULT, skipped: 'Skip' })
    expect(secondSunday.next(at('2026-01-01T00:00:00Z'))).toBeUndefined()
    expect(secondSunday.missed(at('2026-01-01T00:00:00Z'), at('2030-01-01T00:00:00Z'))).toBeUndefined()
  })
})

describe('cron expressions', () => {
  test.each([
    ['macros in any case', '@Weekly', '0 0 * * SUN'],
    ['names, short and full', '0 0 * january-MARCH fri,Monday', '0 0 * 1-3 1,5'],
    ['lists that overlap', '1-10,5-15,7 * * * *', '1-15 * * * *'],
    ['ranges of weekdays around the end of the week', '0 0 * * fri-mon', '0 0 * * 5,6,0,1'],
    ['ranges of months around the end of the year', '0 0 1 nov-2 *', '0 0 1 11,12,1,2 *'],
    ['a step in a range around the end', '0 0 1 9-8/3 *', '0 0 1 3,6,9,12 *'],
    ['7 for Sunday, also at either end of a range', '0 0 * * 7-2,6-7', '0 0 * * 6,0,1,2'],
    ['Sunday as the end of a range', '0 0 * * wed-sun', '0 0 * * 3-7'],
    ['a start with a step, to the end', '5/20 * * * *', '5,25,45 * * * *'],
    ['seconds first', '0 0 1 * * *', '0 1 * * *'],
    ['days of either field when both are restricted', '0 0 1-31/2 * *', '0 0 */2 * *'],
    ['FRI#L for FRIL', '0 0 * * fri#l', '0 0 * * 5L'],
    ['L-0 for L', '0 0 l-0 * *', '0 0 L * *'],
  ])('knows %s', (_, one, other) => {
    const year = (line: string) => fires(timetable(line), '2024-01-01T00:00:00Z', '2025-02-01T00:00:00Z')
    expect(year(one)).toEqual(year(other))
  })

  test('a star with a step restricts the field: the job runs if either day field matches', () => {
    expect(fires(timetable('0 0 */10 * SUN'), '2012-07-09T12:00:00Z', '2012-07-22T12:00:00Z')).toEqual([
      '2012-07-11T00:00:00',
      '2012-07-15T00:00:00',
      '2012-07-21T00:00:00',
      '2012-07-22T00:00:00',
    ])
  })

  test.each([
    ['15W', ['2023-07-14', '2023-08-15', '2023-09-15', '2023-10-16']],
    ['1W', ['2023-07-03', '2023-08-01', '2023-09-01', '2023-10-02']],
    ['31W', ['2023-07-31', '2023-08-31', '2023-10-31']],
    ['LW', ['2023-07-31', '2023-08-31', '2023-09-29', '2023-10-31']],
    ['L-1', ['2023-07-30', '2023-08-30', '2023-09-29', '2023-10-30']],
    ['L-1W', ['2023-07-31', '2023-08-30', '2023-09-29', '2023-10-30']],
    [
      '1,L',
      [
        '2023-07-01',
        '2023-07-31',
        '2023-08-01',
        '2023-08-31',
        '2023-09-01',
        '2023-09-30',
        '2023-10-01',
        '2023-10-31',
      ],
    ],
  ])('day of month %s', (days, expected) => {
    const found = fires(timetable(`0 0 ${days} * *`), '2023-06-30T12:00:00Z', '2023-10-31T12:00:00Z')
    expect(found.map(fire => fire.slice(0, 10))).toEqual(expected)
  })

  test('H stays the same for a job, differs between jobs, and keeps to its range', () => {
    const first = (line: string, hashKey: string) =>
      timetable(line, { hashKey }).next(at('2024-01-01T00:00:00Z'))
    expect(first('H H * * *', 'ops/a')).toBe(first('H H * * *', 'ops/a'))
    const minutes = new Set(
      Array.from({ length: 200 }, (_, i) => new Date(first('H * * * *', `ops/${i}`) ?? 0).getUTCMinutes()),
    )
    expect(minutes.size).toBeGreaterThan(40)
    for (let i = 0; i < 100; i++) {
      const inRange = timetable('H(10-19)/5 * * * *', { hashKey: `ops/${i}` })
      const found = fires(inRange, '2023-12-31T23:59:59Z', '2024-01-01T00:59:59Z').map(fire =>
        Number(fire.slice(14, 16)),
      )
      expect(found).toHaveLength(2)
      expect((found[1] ?? 0) - (found[0] ?? 0)).toBe(5)
      expect(Math.min(...found)).toBeGreaterThanOrEqual(10)
      expect(
        fires(
          timetable('0 0 H * *', { hashKey: `ops/${i}` }),
          '2023-01-31T12:00:00Z',
          '2023-02-28T12:00:00Z',
        ),
      ).toHaveLength(1)
    }
  })

  test('@every counts from the Unix epoch, in no zone', () => {
    const every = timetable('@every 1h30m', { timeZone: 'America/New_York' })
    expect(iso(every.next(0))).toBe('1970-01-01T01:30:00.000Z')
    expect(iso(every.next(at('2024-03-10T06:59:59.999Z')))).toBe('2024-03-10T07:30:00.000Z')
    expect(timetable('@every 0.5m').next(0)).toBe(30_000)
    expect(timetable('@every 90s').previous(180_000)).toBe(90_000)
  })

  test('a time that matches several schedules is one fire', () => {
    const merged = timetable(['0 */2 * * *', '0 */3 * * *', '@every 6h'])
    expect(
      fires(merged, '2024-01-01T00:00:00Z', '2024-01-01T12:00:00Z').map(fire => fire.slice(11, 13)),
    ).toEqual(['02', '03', '04', '06', '08', '09', '10', '12'])
    expect(merged.missed(at('2024-01-01T00:00:00Z'), at('2024-01-01T12:00:00Z'))?.count).toBe(8)
  })
})

describe('a refusal names the field, the value and the remedy', () => {
  test.each([
    ['', 'is empty'],
    ['* * * *', 'has 4 fields; write 5'],
    ['0 0 0 1 1 * 2024', 'has 7 fields; write 5'],
    ['0 0 0 1 1 ? *', 'A year is not supported: to run once, create a ShellRun'],
    ['0 0 1 1 * 2027', 'ends with a year. A year is not supported'],
    ['0 0 1 1 * 2027-2029', 'ends with a year'],
    ['*/61 * * * *', 'must be a whole number from 1 to 59'],
    ['0 */24 * * *', 'a larger step would fire at 0 only: write 0'],
    ['61 * * * *', 'minute 61 is out of range; use 0-59'],
    ['0 0 0 * *', 'day-of-month 0 is out of range; use 1-31'],
    ['0 0 * * 8', 'day-of-week 8 is out of range; use 0-7'],
    ['0 22-6 * * *', 'hour range 22-6 ends before it starts; write two ranges: 22-23,0-6'],
    ['0 0 25-5 * *', 'write two ranges: 25-31,1-5'],
    ['0 0 * * 6-5', 'covers every value'],
    ['? * * * *', 'which only day fields allow'],
    ['1,,2 * * * *', 'minute field contains an empty value'],
    ['0 0 30 2 *', 'never fires, because none of its months has such a day; check day-of-month and month'],
    ['0 0 L-30 2 *', 'never fires'],
    ['0 0 32W * *', 'out of range'],
    ['0 0 1-5W * *', 'W must follow one day'],
    ['0 0 L-31 * *', 'use L-1 to L-30'],
    ['0 0 * * L', 'name the day, such as 5L'],
    ['0 0 * * 5#6', 'use #1 to #5'],
    ['0 0 8 * MON#1', 'use two schedules'],
    ['H(30-10) * * * *', 'ends before it starts'],
    ['H(0-9)/11 * * * *', 'larger than its range; use at most 10'],
    ['H(0-60) * * * *', 'minute 60 is out of range'],
    ['TZ=UTC 0 0 * * *', 'set spec.timeZone'],
    ['CRON_TZ=Asia/Tokyo 0 0 * * *', 'set spec.timeZone'],
    ['@reboot', 'systemd'],
    ['@fortnightly', 'use @yearly'],
    ['@every', 'use @yearly'],
    ['@every 0s', 'at least 1s'],
    ['@every 500ms', 'whole seconds'],
    ['@every 1d', '1h30m'],
    ['@every 90', 'such as 90s'],
    ['@every 9000h', 'longer than a year'],
  ])('%s', (schedule, remedy) => {
    const error = refusal(schedule)
    expect(error.field).toBe('spec.schedule')
    expect(error.message).toContain(`"${schedule}"`)
    expect(error.message).toContain(remedy)
  })

  test('a refusal of one of several schedules has its index and the prefix of the caller', () => {
    expect(refusal(['@daily', '0 0 30 2 *']).field).toBe('spec.schedules[1]')
    const spec = { schedules: ['x'], timeZone: 'UTC', daylightSaving: DEFAULT, hashKey: 'a/b' }
    expect(() => createTimetable(spec, 'line 3')).toThrow(
      expect.objectContaining({ field: 'line 3.schedule' }),
    )
    expect(refusal([]).field).toBe('spec.schedule')
  })

  test.each([
    ['Shanghai', 'did you mean "Asia/Shanghai"?'],
    ['BST', 'did you mean "Europe/London" or "Asia/Dhaka"?'],
    ['bst', 'did you mean "Europe/London" or "Asia/Dhaka"?'],
    ['IST', '"Asia/Kolkata"'],
    ['JST', 'did you mean "Asia/Tokyo"?'],
    ['CST', '"America/Chicago" or "Asia/Shanghai"'],
    ['ACT', '"Australia/Sydney"'],
    ['PDT', '"America/Los_Angeles"'],
    ['SystemV/CST6CDT', 'did you mean "America/Chicago"?'],
    ['SystemV/OTHER', 'use an IANA name'],
    ['US/Pacific-New', '"America/Los_Angeles"'],
    ['+08:00', 'use an IANA name'],
    ['Europe/Atlantis', 'use an IANA name'],
    ['', 'use an IANA name'],
    ['Local', 'use an IANA name'],
  ])('time zone %s', (timeZone, remedy) => {
    const error = refusal('@daily', { timeZone })
    expect(error.field).toBe('spec.timeZone')
    expect(error.message).toContain(`"${timeZone}"`)
    expect(error.message).toContain(remedy)
  })

  test('old names of zones are accepted', () => {
    const now = at('2024-06-01T00:00:00Z')
    for (const [alias, name] of [
      ['US/Eastern', 'America/New_York'],
      ['Asia/Calcutta', 'Asia/Kolkata'],
      ['Etc/UTC', 'UTC'],
    ] as const)
      expect(timetable('@daily', { timeZone: alias }).next(now)).toBe(
        timetable('@daily', { timeZone: name }).next(now),
      )
  })
})

test('jitter is stable per job and less than its limit', () => {
  const all = Array.from({ length: 1_000 }, (_, i) => jitterMs(`ops/${i}`, 30))
  expect(jitterMs('ops/1', 30)).toBe(all[1])
  expect(Math.min(...all)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...all)).toBeLessThan(30_000)
  expect(new Set(all).size).toBeGreaterThan(900)
  expect(jitterMs('ops/1', 0)).toBe(0)
})
