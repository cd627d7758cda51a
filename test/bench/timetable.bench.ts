import { CronExpressionParser } from 'cron-parser'
import { createTimetable } from '../../core/timetable/timetable.ts'

/**
 * 100,000 calls of `next` for mixed expressions that cron-parser supports, here and in cron-parser, in one process. Prints one line for each
 * and the ratio. Also the memory of 100,000 timetables. Run: node --expose-gc test/bench/timetable.bench.ts
 */

const EXPRESSIONS = [
  '* * * * *',
  '*/5 * * * *',
  '0 * * * *',
  '0 1 * * *',
  '30 2 * * 1-5',
  '0 9-17 * * MON-FRI',
  '0 0 1 * *',
  '0 0 1,15 * 3',
  '15 10 L * *',
  '0 12 * * 5#3',
  '*/10 * * * * *',
  '0 0 29 2 *',
]
const ZONES = ['UTC', 'Asia/Shanghai', 'America/New_York', 'Europe/Berlin']
const CALLS = 100_000
const START = Date.UTC(2026, 0, 15, 3, 4, 5)
/** Rare expressions start again here, before they reach the year 9000. */
const END = Date.UTC(2034, 0, 1)

const pairs = EXPRESSIONS.flatMap(schedule => ZONES.map(timeZone => ({ schedule, timeZone })))
const steps = Math.ceil(CALLS / pairs.length)

function ours(): number {
  let sum = 0
  for (const { schedule, timeZone } of pairs) {
    const timetable = timetableOf(schedule, timeZone)
    for (let step = 0, at = START; step < steps; step++) {
      at = timetable.next(at) ?? START
      sum += at
      if (at > END) at = START
    }
  }
  return sum
}

function theirs(): number {
  let sum = 0
  for (const { schedule, timeZone } of pairs) {
    const expression = CronExpressionParser.parse(schedule, { tz: timeZone, currentDate: START })
    for (let step = 0; step < steps; step++) {
      const at = expression.next().getTime()
      sum += at
      if (at > END) expression.reset(new Date(START))
    }
  }
  return sum
}

function timetableOf(schedule: string, timeZone: string) {
  const daylightSaving = { skipped: 'RunAfter', repeated: 'RunOnce' } as const
  return createTimetable({ schedules: [schedule], timeZone, daylightSaving, hashKey: 'bench/job' })
}

function timed(run: () => number): number {
  const start = performance.now()
  run()
  return performance.now() - start
}

const mine = timed(ours)
const other = timed(theirs)
process.stdout.write(`shellcron    ${mine.toFixed(0)} ms for ${CALLS} next, zones' tables included\n`)
process.stdout.write(`cron-parser  ${other.toFixed(0)} ms\n`)
process.stdout.write(`ratio        ${(mine / other).toFixed(4)}\n`)

globalThis.gc?.()
const before = process.memoryUsage().heapUsed
const many = Array.from({ length: CALLS }, (_, i) =>
  timetableOf('H H * * *', ZONES[i % ZONES.length] ?? 'UTC'),
)
globalThis.gc?.()
const bytes = (process.memoryUsage().heapUsed - before) / many.length
process.stdout.write(`timetable    ${bytes.toFixed(0)} bytes each, of ${many.length}\n`)
