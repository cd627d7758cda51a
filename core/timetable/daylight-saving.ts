import type { CronLine, Line } from './cron-line.ts'
import { nextLocal } from './next-local-time.ts'
import { type Piece, pieceAt, type Zone } from './zone.ts'

/** How a time that the zone skips or repeats counts: for lines of fixed times; interval lines follow the wall clock. */
export interface DaylightSaving {
  skipped: 'RunAfter' | 'Skip'
  repeated: 'RunOnce' | 'RunTwice'
}

/**
 * A line that has days at all has them within 40 years (a 29 February on a given weekday, over 2100). Past this it stays silent
 * because the zone skips each of its times; the search ends instead of spinning.
 */
const HORIZON = 50 * 366 * 86_400

/** The line's first fire ≥ `from`, UTC seconds, or undefined. */
export function nextFire(
  line: Line,
  from: number,
  clock: { zone: Zone; shifts: DaylightSaving },
): number | undefined {
  if (line.kind === 'every') return Math.ceil(from / line.seconds) * line.seconds
  const limit = from + HORIZON
  let piece = pieceAt(clock.zone, from)
  for (let at = from; at < limit; at = piece.end, piece = pieceAt(clock.zone, at)) {
    if (at === piece.start && firesAfterGap(line, piece, clock.shifts)) return at
    const start = Math.max(at + piece.offset, firstLocal(line, piece, clock.shifts))
    const local = nextLocal(line, start, piece.end + piece.offset)
    if (local !== undefined) return local - piece.offset
  }
  return undefined
}

/** Where in a piece the line begins: with RunOnce, fixed times that were shown before are passed over. */
export function firstLocal(line: CronLine, piece: Piece, shifts: DaylightSaving): number {
  const start = piece.start + piece.offset
  return line.interval || shifts.repeated === 'RunTwice' ? start : Math.max(start, piece.frontier)
}

/** Does the line fire at the piece's start for fixed times that the gap before it swallowed? */
export function firesAfterGap(line: CronLine, piece: Piece, shifts: DaylightSaving): boolean {
  if (line.interval || shifts.skipped === 'Skip') return false
  return nextLocal(line, piece.frontier, piece.start + piece.offset) !== undefined
}
