import { createInterface } from 'node:readline'
import { type Command, InvalidArgumentError } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import { createTimetable, type Timetable, type TimetableSpec } from '../core/timetable/timetable.ts'

/** `shellcron next`: when a schedule fires, from the code that agents run. */
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

export function addNextCommand(program: Command): void {
  program
    .command('next')
    .description('print when a schedule fires')
    .option(
      '--schedule <line>',
      'a cron line; may be given several times',
      (line, all: string[]) => [...all, line],
      [],
    )
    .option('--time-zone <zone>', 'an IANA name', 'UTC')
    .option('--after <time>', 'RFC 3339; default: now')
    .option('--count <n>', 'how many', count, 5)
    .option('--skipped <choice>', 'fixed times that the clock skips: RunAfter or Skip', DEFAULTS.skipped)
    .option(
      '--repeated <choice>',
      'fixed times that the clock repeats: RunOnce or RunTwice',
      DEFAULTS.repeated,
    )
    .option('--hash-key <namespace/name>', 'what H is the hash of', 'default/example')
    .option('-o, --output <format>', 'text or json', 'text')
    .option(
      '--batch',
      'read JSON lines {"schedule","timeZone","after","count","daylightSaving"}, answer one JSON line for each',
    )
    .action(async (options: Record<string, unknown>) => {
      if (options.batch) return batch()
      const { skipped, repeated, ...rest } = options
      const asked = parseAsked({ ...rest, daylightSaving: { skipped, repeated } })
      const fires = firesOf(asked)
      if (options.output === 'json') process.stdout.write(`${JSON.stringify({ fires })}\n`)
      else process.stdout.write(fires.map(fire => `${fire}\n`).join('') || 'never\n')
    })
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
      return { error: { field: '', message: `not a line of JSON: ${error.message}` } }
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
    throw new InvalidInput('schedule', 'is missing; give a cron line such as "0 1 * * *"')
  }
  return lines
}

function zoneOf(timeZone: unknown = 'UTC'): string {
  if (typeof timeZone === 'string') return timeZone
  throw new InvalidInput('timeZone', 'must be an IANA name such as "Asia/Shanghai"')
}

function countOf(count: unknown = 1): number {
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= MOST) return count
  throw new InvalidInput('count', `must be a whole number from 0 to ${MOST}`)
}

function daylightSavingOf(choices: unknown = {}): TimetableSpec['daylightSaving'] {
  const { skipped = DEFAULTS.skipped, repeated = DEFAULTS.repeated } = (choices ?? {}) as Record<
    string,
    unknown
  >
  if (skipped !== 'RunAfter' && skipped !== 'Skip') {
    throw new InvalidInput('daylightSaving.skipped', `"${String(skipped)}" is neither RunAfter nor Skip`)
  }
  if (repeated !== 'RunOnce' && repeated !== 'RunTwice') {
    throw new InvalidInput('daylightSaving.repeated', `"${String(repeated)}" is neither RunOnce nor RunTwice`)
  }
  return { skipped, repeated }
}

function instant(text: unknown): number {
  const ms = typeof text === 'string' && /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms))
    throw new InvalidInput('after', `"${String(text)}" is not an RFC 3339 time such as 2026-03-29T00:00:00Z`)
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

/** Fields are named as they are asked for here, not as in an object. */
function timetableOf(spec: TimetableSpec): Timetable {
  try {
    return createTimetable(spec, 'asked')
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    throw new InvalidInput(error.field.replace(/^asked\./, ''), error.message, { cause: error })
  }
}

function count(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError('must be a whole number, 1 or more')
  return number
}
