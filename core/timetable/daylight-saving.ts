import type { CronLine, Line } from './cron-line.ts'
import { nextLocal } from './next-local-time.ts'
import { type Piece, pieceAt, type Zone } from './zone.ts'

/** What happens to fixed times that the zone skips or repeats. Interval lines follow the wall clock. */
export interface DaylightSaving {
  skipped: 'RunAfter' | 'Skip'
  repeated: 'RunOnce' | 'RunTwice'
}

/**
 * A line that ever fires has a day within 40 years (29 February on a given weekday, across 2100). If there is no fire within this
 * horizon, the zone skips each of its times, and the search must end.
 */
const HORIZON = 50 * 366 * 86_400

/** The first fire of the line ≥ `from`, in UTC seconds. undefined: none. */
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

/** The local time at which the line starts in a piece. With RunOnce, fixed times that the clock has already shown are skipped. */
export function firstLocal(line: CronLine, piece: Piece, shifts: DaylightSaving): number {
  const start = piece.start + piece.offset
  return line.interval || shifts.repeated === 'RunTwice' ? start : Math.max(start, piece.frontier)
}

/** Whether the line fires at the start of the piece, for fixed times in the gap before it. */
export function firesAfterGap(line: CronLine, piece: Piece, shifts: DaylightSaving): boolean {
  if (line.interval || shifts.skipped === 'Skip') return false
  return nextLocal(line, piece.frontier, piece.start + piece.offset) !== undefined
}
