import { nextBit, nextOfSixty, sizeOf, within } from './bit-sets.ts'
import { DAY } from './calendar.ts'
import type { CronLine, EveryLine, Line } from './cron-line.ts'
import { type DaylightSaving, firesAtEndOfGap, localStart } from './daylight-saving.ts'
import { nextDay } from './next-local-time.ts'
import { type Piece, pieceAt, type Zone } from './zone.ts'

/**
 * Counts fires by the day, not one by one. Within a piece of constant offset, the fires of a day depend only on which lines have that day.
 * So each such combination is counted once. Days that the range or a shift cuts are counted one by one.
 */

/** Seconds [from, end), in UTC or local time as the user of it says. */
export interface Span {
  from: number
  end: number
}

/** The number of different UTC seconds in the span at which any of the lines fires. */
export function countFires(
  lines: readonly Line[],
  { from, end }: Span,
  clock: { zone: Zone; shifts: DaylightSaving },
): number {
  const [only, second] = lines
  if (only?.kind === 'every' && !second)
    return Math.floor((end - 1) / only.seconds) - Math.floor((from - 1) / only.seconds)
  const totals = new Map<string, number>()
  let count = 0
  for (let at = from; at < end; ) {
    const piece = pieceAt(clock.zone, at)
    const stop = Math.min(end, piece.end)
    if (at === piece.start && onlyMadeUp(lines, piece, clock.shifts)) count++
    for (const { shown, span } of regionsOf(lines, piece, { from: at, end: stop, shifts: clock.shifts }))
      count += countLocal(shown, span, { offset: piece.offset, totals })
    at = stop
  }
  return count
}

/** Whether the start of the piece is a fire only because of times in the gap before it. */
function onlyMadeUp(lines: readonly Line[], piece: Piece, shifts: DaylightSaving): boolean {
  const local = piece.start + piece.offset
  if (!lines.some(line => line.kind === 'cron' && firesAtEndOfGap(line, piece, shifts))) return false
  return countLocal(lines, { from: local, end: local + 1 }, { offset: piece.offset, totals: new Map() }) === 0
}

/** Splits a piece: the local times that the clock has already shown, for lines that repeat them; the rest, for all lines. */
function regionsOf(
  lines: readonly Line[],
  piece: Piece,
  { from, end, shifts }: Span & { shifts: DaylightSaving },
): { shown: readonly Line[]; span: Span }[] {
  const local = { from: from + piece.offset, end: end + piece.offset }
  const turn = Math.min(Math.max(local.from, piece.frontier), local.end)
  const repeating = (line: Line) => line.kind === 'every' || localStart(line, piece, shifts) < piece.frontier
  return [
    { shown: turn > local.from ? lines.filter(repeating) : [], span: { from: local.from, end: turn } },
    { shown: lines, span: { from: turn, end: local.end } },
  ]
}

/** Counts of whole days by the lines that have them, reused within one count. */
interface Known {
  offset: number
  totals: Map<string, number>
}

function countLocal(lines: readonly Line[], { from, end }: Span, known: Known): number {
  if (end <= from || lines.length === 0) return 0
  let count = 0
  for (let at = from; at < end; ) {
    const day = Math.floor(at / DAY)
    const stop = Math.min(end, (day + 1) * DAY)
    const start = day * DAY
    count += countDay(lines, day, { ...known, span: { from: at - start, end: stop - start } })
    at = stop
  }
  return count
}

/** The number of fires in a span of seconds of one day. */
function countDay(
  lines: readonly Line[],
  day: number,
  { offset, totals, span }: Known & { span: Span },
): number {
  const start = day * DAY - offset
  const present = lines.filter(line => line.kind === 'every' || nextDay(line, day, day) === day)
  if (present.length === 0) return 0
  if (span.end - span.from < DAY) return countBits(bitsOf(present, start), span)
  const key = lines.map(line => keyOf(line, present, start)).join()
  const total = totals.get(key) ?? countBits(bitsOf(present, start), span)
  totals.set(key, total)
  return total
}

function keyOf(line: Line, present: readonly Line[], start: number): string {
  if (line.kind === 'every') return String(start % line.seconds)
  return present.includes(line) ? '+' : '-'
}

/** One bit for each second of a day: 30 bits a word, two words a minute. */
const HALF = 30
const WORDS = DAY / HALF

function bitsOf(lines: readonly Line[], dayStart: number): Int32Array {
  const bits = new Int32Array(WORDS)
  for (const line of lines) {
    if (line.kind === 'cron') addCron(bits, line)
    else addEvery(bits, line, dayStart)
  }
  return bits
}

function addCron(bits: Int32Array, line: CronLine): void {
  for (let hour = nextBit(line.hours, 0); hour >= 0; hour = nextBit(line.hours, hour + 1)) {
    for (
      let minute = nextOfSixty(line.minutes, 0);
      minute >= 0;
      minute = nextOfSixty(line.minutes, minute + 1)
    ) {
      const word = (hour * 60 + minute) * 2
      bits[word] = (bits[word] ?? 0) | line.seconds.low
      bits[word + 1] = (bits[word + 1] ?? 0) | line.seconds.high
    }
  }
}

function addEvery(bits: Int32Array, line: EveryLine, dayStart: number): void {
  const first = Math.ceil(dayStart / line.seconds) * line.seconds - dayStart
  for (let second = first; second < DAY; second += line.seconds) {
    const word = Math.floor(second / HALF)
    bits[word] = (bits[word] ?? 0) | (1 << (second % HALF))
  }
}

function countBits(bits: Int32Array, { from, end }: Span): number {
  let count = 0
  const last = Math.ceil(end / HALF)
  for (let word = Math.floor(from / HALF); word < last; word++) {
    const start = word * HALF
    count += sizeOf(within(bits[word] ?? 0, Math.max(from - start, 0), Math.min(end - start, HALF)))
  }
  return count
}
