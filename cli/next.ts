import { createInterface } from 'node:readline'
import { type Command, Option } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { createTimetable, type Timetable, type TimetableSpec } from '../core/timetable/timetable.ts'
import { collect, wholeNumber } from './options/parsers.ts'

/** `shellcron next`: prints when a schedule fires, computed by the code that agents run. */
interface Asked {
  schedule: string[]
  timeZone: string
  after: number
  count: number
  daylightSaving: TimetableSpec['daylightSaving']
  hashKey: string
}

const DEFAULTS = { skipped: 'RunAfter', repeated: 'RunOnce' } as const
const MOST = 100_000

/** The flag that sets each field of a question. */
const FLAGS: Readonly<Record<string, string>> = {
  schedule: '--schedule',
  timeZone: '--time-zone',
  after: '--after',
}

export function addNextCommand(program: Command): void {
  program
    .command('next')
    .description('print the next times at which a schedule fires')
    .addOption(
      new Option('--schedule <line>', 'a cron line; repeatable').argParser(collect).default([], 'none'),
    )
    .option('--time-zone <zone>', 'IANA time zone', 'UTC')
    .option('--after <time>', 'print times after this one (RFC 3339; default: now)')
    .option('--count <n>', 'how many times to print', wholeNumber(1, MOST), 5)
    .addOption(
      new Option('--skipped <choice>', 'for fixed times that a clock change skips')
        .choices(['RunAfter', 'Skip'])
        .default(DEFAULTS.skipped),
    )
    .addOption(
      new Option('--repeated <choice>', 'for fixed times that a clock change repeats')
        .choices(['RunOnce', 'RunTwice'])
        .default(DEFAULTS.repeated),
    )
    .option('--hash-key <namespace/name>', 'the job for which H is computed', 'default/example')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .option(
      '--batch',
      'read JSON lines {"schedule","timeZone","after","count","daylightSaving"} from stdin, and answer each with one JSON line',
    )
    .action(async (options: Record<string, unknown>) => {
      if (options.batch) return batch()
      const { skipped, repeated, ...rest } = options
      const fires = naming(FLAGS, () =>
        firesOf(parseAsked({ ...rest, daylightSaving: { skipped, repeated } })),
      )
      if (options.output === 'json') process.stdout.write(`${JSON.stringify({ fires })}\n`)
      else process.stdout.write(fires.map(fire => `${fire}\n`).join('') || 'never\n')
    })
}

/** Reports a field by the name that it has here. `[i]` of a list is dropped: the message quotes the line. */
function naming<T>(names: Readonly<Record<string, string>>, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    const field = names[error.field.replace(/s?(\[\d+\])?$/, '')] ?? error.field
    throw new InvalidInput(field, error.message, { cause: error })
  }
}

async function batch(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue
    process.stdout.write(`${JSON.stringify(answer(line))}\n`)
  }
}

function answer(line: string): { fires: string[] } | { error: { field: string; message: string } } {
  try {
    return { fires: firesOf(parseAsked(JSON.parse(line) as Record<string, unknown>)) }
  } catch (error) {
    if (error instanceof InvalidInput) return { error: { field: error.field, message: error.message } }
    if (error instanceof SyntaxError)
      return { error: { field: '', message: `not a JSON line: ${error.message}` } }
    throw error
  }
}

function parseAsked(input: Record<string, unknown>): Asked {
  const { after, hashKey = 'default/example' } = input
  return {
    schedule: linesOf(input.schedule),
    timeZone: zoneOf(input.timeZone),
    after: after === undefined ? Date.now() : instant(after),
    count: countOf(input.count),
    daylightSaving: daylightSavingOf(input.daylightSaving),
    hashKey: String(hashKey),
  }
}

function linesOf(schedule: unknown): string[] {
  const lines: unknown[] = Array.isArray(schedule) ? schedule : [schedule]
  if (lines.length === 0 || !lines.every(line => typeof line === 'string')) {
    throw new InvalidInput('schedule', 'is missing; write a cron line, such as "0 1 * * *"')
  }
  return lines
}

function zoneOf(timeZone: unknown = 'UTC'): string {
  if (typeof timeZone === 'string') return timeZone
  throw new InvalidInput('timeZone', 'must be a string; use an IANA time zone, such as "Asia/Shanghai"')
}

function countOf(count: unknown = 1): number {
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= MOST) return count
  throw new InvalidInput('count', `must be a whole number from 0 to ${MOST}, not ${JSON.stringify(count)}`)
}

function daylightSavingOf(choices: unknown = {}): TimetableSpec['daylightSaving'] {
  const { skipped = DEFAULTS.skipped, repeated = DEFAULTS.repeated } = (choices ?? {}) as Record<
    string,
    unknown
  >
  if (skipped !== 'RunAfter' && skipped !== 'Skip') {
    throw new InvalidInput(
      'daylightSaving.skipped',
      `"${String(skipped)}" is not valid; use RunAfter or Skip`,
    )
  }
  if (repeated !== 'RunOnce' && repeated !== 'RunTwice') {
    throw new InvalidInput(
      'daylightSaving.repeated',
      `"${String(repeated)}" is not valid; use RunOnce or RunTwice`,
    )
  }
  return { skipped, repeated }
}

function instant(text: unknown): number {
  const ms = typeof text === 'string' && /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms))
    throw new InvalidInput(
      'after',
      `"${String(text)}" is not a time; use RFC 3339, such as 2026-03-29T00:00:00Z`,
    )
  return ms
}

function firesOf({ schedule, timeZone, after, count, daylightSaving, hashKey }: Asked): string[] {
  const timetable = timetableOf({ schedules: schedule, timeZone, daylightSaving, hashKey })
  const fires: string[] = []
  let fire = timetable.next(after)
  while (fire !== undefined && fires.length < count) {
    fires.push(`${new Date(fire).toISOString().slice(0, 19)}Z`)
    fire = timetable.next(fire)
  }
  return fires
}

/** Errors name the fields of a question, not those of an object. */
function timetableOf(spec: TimetableSpec): Timetable {
  try {
    return createTimetable(spec, 'asked')
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    throw new InvalidInput(error.field.replace(/^asked\./, ''), error.message, { cause: error })
  }
}
