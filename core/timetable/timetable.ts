import { InvalidInput } from '../errors.ts'
import { hash53 } from '../hash.ts'
import { countFires } from './count-fires.ts'
import type { Line } from './cron-line.ts'
import { type DaylightSaving, nextFire } from './daylight-saving.ts'
import { compileSchedule } from './parse-schedule.ts'
import { type Zone, zoneOf } from './zone.ts'
import { unknownZone } from './zone-names.ts'

/** When a job fires. Times are ms since the Unix epoch. Fires are whole seconds. */
export interface TimetableSpec {
  /** At least one. A time that several name is one fire. */
  schedules: readonly string[]
  /** IANA name. */
  timeZone: string
  daylightSaving: DaylightSaving
  /** `<namespace>/<name>`: the seed of H. */
  hashKey: string
}

/** A range of fires: the first, the last and their number. */
export interface MissedRange {
  first: number
  last: number
  count: number
}

/**
 * The fires are a set of instants that depends only on the spec. So x < y < next(x) implies next(y) = next(x), in every zone.
 */
export interface Timetable {
  /** The earliest fire strictly after. undefined: none within 50 years, for example because the zone skips each of its times. */
  next(after: number): number | undefined
  /** The latest fire strictly before. undefined: none within 50 years. */
  previous(before: number): number | undefined
  /** The fires in (after, upTo]. undefined: none. The cost grows with the number of days, not of fires. */
  missed(after: number, upTo: number): MissedRange | undefined
}

/**
 * Compiles a spec. Throws InvalidInput for field `<at>.schedule` (one schedule), `<at>.schedules[i]` or `<at>.timeZone`.
 */
export function createTimetable(spec: TimetableSpec, at = 'spec'): Timetable {
  const zone = zoneOf(spec.timeZone)
  if (!zone) throw new InvalidInput(`${at}.timeZone`, unknownZone(spec.timeZone))
  if (spec.schedules.length === 0)
    throw new InvalidInput(`${at}.schedule`, 'is required; set a schedule such as "0 1 * * *"')
  const fieldOf = (i: number) => (spec.schedules.length === 1 ? `${at}.schedule` : `${at}.schedules[${i}]`)
  const lines = spec.schedules.map((schedule, i) => compileSchedule(schedule, spec.hashKey, fieldOf(i)))
  return new CompiledTimetable(lines, zone, SHIFTS[spec.daylightSaving.skipped][spec.daylightSaving.repeated])
}

/** The delay of a job's starts in ms: the same for every fire, at least 0 and less than `jitterSeconds` × 1000. */
export function jitterMs(hashKey: string, jitterSeconds: number): number {
  return jitterSeconds > 0 ? hash53(`${hashKey}\njitter`) % (jitterSeconds * 1_000) : 0
}

/** The four possible values, shared by all timetables. */
const SHIFTS = {
  RunAfter: {
    RunOnce: { skipped: 'RunAfter', repeated: 'RunOnce' },
    RunTwice: { skipped: 'RunAfter', repeated: 'RunTwice' },
  },
  Skip: {
    RunOnce: { skipped: 'Skip', repeated: 'RunOnce' },
    RunTwice: { skipped: 'Skip', repeated: 'RunTwice' },
  },
} as const satisfies Record<DaylightSaving['skipped'], Record<DaylightSaving['repeated'], DaylightSaving>>

const MINUTE = 60
const HORIZON = 50 * 366 * 86_400

/** A class, so that a hundred thousand timetables share their functions. It counts in seconds. */
class CompiledTimetable implements Timetable {
  readonly #lines: readonly Line[]
  readonly #zone: Zone
  readonly #shifts: DaylightSaving

  constructor(lines: readonly Line[], zone: Zone, shifts: DaylightSaving) {
    this.#lines = lines
    this.#zone = zone
    this.#shifts = shifts
  }

  next(after: number): number | undefined {
    const fire = this.#from(Math.floor(after / 1_000) + 1)
    return fire === undefined ? undefined : fire * 1_000
  }

  previous(before: number): number | undefined {
    const fire = this.#before(Math.ceil(before / 1_000))
    return fire === undefined ? undefined : fire * 1_000
  }

  missed(after: number, upTo: number): MissedRange | undefined {
    const from = Math.floor(after / 1_000) + 1
    const end = Math.floor(upTo / 1_000) + 1
    const first = from < end ? this.#from(from) : undefined
    if (first === undefined || first >= end) return undefined
    const second = this.#from(first + 1)
    if (second === undefined || second >= end) return { first: first * 1_000, last: first * 1_000, count: 1 }
    const last = this.#before(end) ?? first
    const count = countFires(this.#lines, { from, end }, { zone: this.#zone, shifts: this.#shifts })
    return { first: first * 1_000, last: last * 1_000, count }
  }

  /** The first fire ≥ `from`. */
  #from(from: number): number | undefined {
    let first: number | undefined
    for (const line of this.#lines) {
      const fire = nextFire(line, from, { zone: this.#zone, shifts: this.#shifts })
      if (fire !== undefined && (first === undefined || fire < first)) first = fire
    }
    return first
  }

  /** The last fire < `end`. Widens a window backwards until it contains a fire, then bisects for the last one. */
  #before(end: number): number | undefined {
    let found: number | undefined
    for (let width = MINUTE; width < 2 * HORIZON; width *= 2) {
      const fire = this.#from(end - width)
      if (fire === undefined || fire >= end) continue
      found = fire
      break
    }
    if (found === undefined) return undefined
    let limit = end
    for (;;) {
      const later = this.#from(found + 1)
      if (later === undefined || later >= limit) return found
      const middle = Math.floor((later + 1 + limit) / 2)
      const fire = this.#from(middle)
      found = fire !== undefined && fire < limit ? fire : later
      if (found === later) limit = middle
    }
  }
}
