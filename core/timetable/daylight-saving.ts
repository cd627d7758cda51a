import type { CronLine, Line } from './cron-line.ts'
import { nextLocalTime } from './next-local-time.ts'
import { type Piece, pieceAt, type Zone } from './zone.ts'

/**
 * Finds a line's next fire in a time zone, across the gaps and overlaps of its offset changes.
 *
 * Within a piece of constant offset the line follows the wall clock (next-local-time.ts). For lines with fixed times, RunAfter fires
 * once at the end of a gap for the times that the gap skipped, and RunOnce does not fire again in an overlap.
 */

/** What a fixed-time line does with times that the zone skips or repeats. Interval lines follow the wall clock. */
export interface DaylightSaving {
  skipped: 'RunAfter' | 'Skip'
  repeated: 'RunOnce' | 'RunTwice'
}

/**
 * The search ends after 50 years, in seconds. A line that has days at all has one within 40 years (29 February on a given weekday,
 * across 2100). A line without a fire for longer never fires: the zone skips each of its times.
 */
const HORIZON = 50 * 366 * 86_400

/** The line's first fire at or after `from`, UTC seconds; undefined: none within 50 years. */
export function nextFire(
  line: Line,
  from: number,
  clock: { zone: Zone; shifts: DaylightSaving },
): number | undefined {
  if (line.kind === 'every') return Math.ceil(from / line.seconds) * line.seconds
  const limit = from + HORIZON
  let piece = pieceAt(clock.zone, from)
  for (let at = from; at < limit; at = piece.end, piece = pieceAt(clock.zone, at)) {
    if (at === piece.start && firesAtEndOfGap(line, piece, clock.shifts)) return at
    const start = Math.max(at + piece.offset, localStart(line, piece, clock.shifts))
    const local = nextLocalTime(line, start, piece.end + piece.offset)
    if (local !== undefined) return local - piece.offset
  }
  return undefined
}

/** The local time from which the line counts in a piece. With RunOnce, a fixed-time line starts behind the repeated times. */
export function localStart(line: CronLine, piece: Piece, shifts: DaylightSaving): number {
  const start = piece.start + piece.offset
  return line.interval || shifts.repeated === 'RunTwice' ? start : Math.max(start, piece.frontier)
}

/** Whether the line fires at the start of the piece, for fixed times that the gap before it skipped. */
export function firesAtEndOfGap(line: CronLine, piece: Piece, shifts: DaylightSaving): boolean {
  if (line.interval || shifts.skipped === 'Skip') return false
  return nextLocalTime(line, piece.frontier, piece.start + piece.offset) !== undefined
}
