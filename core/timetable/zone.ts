import { isInTzDatabase } from './zone-names.ts'

/**
 * A zone as pieces of constant offset. They are found from Intl by bisection, lazily, and once for all timetables, because asking ICU for
 * each offset would cost more than everything else here. Times are seconds since the Unix epoch, local times as on the wall clock.
 *
 *   local │        ╱        gap: local times in [frontier, start + offset) are never shown
 *         │      ╱ ·
 *         │   ╱╱   ·   ╱    overlap: those in [start + offset, frontier) were shown before
 *         │  ╱ ·   · ╱╱
 *         └────┴───┴──────── UTC
 */
export interface Piece {
  start: number
  end: number
  /** Local minus UTC. */
  offset: number
  /** Every local time before this was shown or skipped before the piece. Without a shift at `start` it is start + offset. */
  frontier: number
}

export interface Zone {
  /** IANA name as given. undefined: offset 0 at all times. */
  name: string | undefined
  chunks: Map<number, Piece[]>
}

/** Pieces are kept in chunks of about 13 months. */
const CHUNK = 2 ** 25
/** How long before a chunk a shift may affect its frontier: longer than the largest shift, a day across the date line. */
const BEFORE = 3 * 86_400
/** In the tz database no two shifts that cancel each other are closer. Bisection finds all others. */
const STEP = 4 * 86_400

const zones = new Map<string, Zone>()

/** The zone of a name in the tz database, links included, in any case as Intl takes it; undefined if unknown. Fixed offsets are no zones. */
export function zoneOf(name: string): Zone | undefined {
  const key = name.toLowerCase()
  const known = zones.get(key)
  if (known) return known
  if (!/^[a-z]/.test(key) || !isInTzDatabase(key)) return undefined
  const canonical = canonicalName(name)
  if (canonical === undefined) return undefined
  const zone: Zone = { name: canonical === 'UTC' ? undefined : name, chunks: new Map() }
  zones.set(key, zone)
  return zone
}

function canonicalName(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone
  } catch {
    return undefined
  }
}

/** The piece that contains an instant. */
export function pieceAt(zone: Zone, instant: number): Piece {
  const index = Math.floor(instant / CHUNK)
  let pieces = zone.chunks.get(index)
  if (!pieces) {
    pieces = piecesOf(zone.name, index)
    zone.chunks.set(index, pieces)
  }
  for (const piece of pieces) if (instant < piece.end) return piece
  throw new RangeError(`no piece of ${zone.name} at ${instant}`)
}

function piecesOf(name: string | undefined, index: number): Piece[] {
  const start = index * CHUNK
  const end = start + CHUNK
  if (name === undefined) return [{ start, end, offset: 0, frontier: start }]
  const offsetAt = offsetsOf(name)
  const pieces: Piece[] = []
  let piece: Piece = { start: start - BEFORE, end, offset: offsetAt(start - BEFORE), frontier: -Infinity }
  for (const shift of shiftsIn(offsetAt, start - BEFORE, end)) {
    pieces.push({ ...piece, end: shift })
    piece = {
      start: shift,
      end,
      offset: offsetAt(shift),
      frontier: Math.max(piece.frontier, shift + piece.offset),
    }
  }
  pieces.push(piece)
  return pieces.filter(piece => piece.end > start).map(piece => clipped(piece, start))
}

/** The part of a piece in its chunk. If it started before, its frontier is what an overlap has left. */
function clipped(piece: Piece, start: number): Piece {
  if (piece.start >= start) return piece
  return { ...piece, start, frontier: Math.max(piece.frontier, start + piece.offset) }
}

/** The instants in (from, to) at which the offset changes. */
function shiftsIn(offsetAt: (instant: number) => number, from: number, to: number): number[] {
  const shifts: number[] = []
  let at = from
  let offset = offsetAt(from)
  while (at < to - 1) {
    const probe = Math.min(at + STEP, to - 1)
    const then = offsetAt(probe)
    if (then === offset) {
      at = probe
      continue
    }
    let before = at
    let after = probe
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (offsetAt(middle) === offset) before = middle
      else after = middle
    }
    shifts.push(after)
    at = after
    offset = offsetAt(after)
  }
  return shifts
}

/** Intl writes offsets as GMT, GMT+08:00 or, in the 19th century, GMT-04:56:02. The formatter is large, so it is kept for one chunk only. */
function offsetsOf(name: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    timeZoneName: 'longOffset',
    hour: 'numeric',
  })
  return instant => {
    const text = format.format(instant * 1_000)
    const at = text.lastIndexOf('GMT') + 3
    if (at >= text.length) return 0
    const [hours = 0, minutes = 0, seconds = 0] = text
      .slice(at + 1)
      .split(':')
      .map(Number)
    const size = hours * 3_600 + minutes * 60 + seconds
    return text[at] === '+' ? size : -size
  }
}
