import type { JobEntry } from '../records/entry.ts'
import type { Cell } from '../records/state.ts'

/**
 * What is to be done about a job's times on one target, now. Pure; agents and the operator ask the same function.
 *
 *      frontier          now - offset          now - offset + lead
 *   ───────┼──── T1 ── T2 ──────┼──── T3 ─────────────┼────────▶
 *   settled     due: the first that is open is taken,   ahead: claimed, started at its instant
 *               what is closed before it is settled with it
 *
 * Times are settled in order: whoever moves the frontier over a time without running it records that in the same transaction.
 */

/** The part of a timetable that is needed here: see core/timetable. */
export interface Times {
  next(after: number): number | undefined
  previous(before: number): number | undefined
  missed(after: number, upTo: number): { first: number; last: number; count: number } | undefined
}

/** Times that end without a process, to be recorded as one range. */
export interface Settlement {
  first: number
  last: number
  count: number
  outcome: 'Missed' | 'Skipped'
  reason: string
}

export type Decision =
  /** Nothing now; look again at `at` (undefined: when something changes). */
  | { kind: 'idle'; at: number | undefined }
  | { kind: 'claim'; time: number; settle: Settlement[] }
  /** Concurrency holds it back: it is put into the cell. With `replace` the active runs are to be ended for it. */
  | { kind: 'wait'; time: number; replace: boolean; wave?: true; settle: Settlement[] }
  | { kind: 'settle'; settle: Settlement[] }

export interface FireInput {
  entry: JobEntry
  times: Times
  /** Delay of every start, ms: jitter. */
  offset: number
  /** undefined: no cell yet. */
  cell: Cell | undefined
  now: number
  /** How long before its instant a time may be claimed, ms. */
  lead: number
  /** maxParallel: every place of the wave is taken. */
  full?: boolean
}

/** A time that nobody has claimed for so long is a catch-up, judged by `catchUp`; ms. */
export const CATCH_UP_AFTER = 5_000

const LATE = 'DeadlineExceeded'

/** Where counting starts: times up to it are settled or were never this entry's. */
export function frontierOf(entry: JobEntry, cell: Cell | undefined): number {
  return Math.max(cell?.lastFire ?? 0, entry.scheduleChangedAt)
}

export function decide(input: FireInput): Decision {
  const { entry, cell } = input
  if (entry.suspended || entry.blocked) return { kind: 'idle', at: undefined }
  const expired = expiredWaiting(input)
  if (expired) return { kind: 'settle', settle: [expired] }
  const { open, settle } = judge(input)
  const exclusive = entry.concurrencyPolicy !== 'Allow'
  const busy = (cell?.active.length ?? 0) > 0

  if (exclusive && busy) return heldBack(input, { open, settle })
  if (input.full) return withoutPlace(input, { open, settle })
  if (cell?.waiting) {
    const { time } = cell.waiting
    if (atLimit(input)) return { kind: 'settle', settle: skip(input, time, time, 'TooManyRuns') }
    return { kind: 'claim', time, settle: [] }
  }
  if (!open) return settle.length > 0 ? { kind: 'settle', settle } : ahead(input)
  if (atLimit(input))
    return { kind: 'settle', settle: [...settle, ...skip(input, open.first, open.last, 'TooManyRuns')] }
  return { kind: 'claim', time: open.first, settle }
}

/** Every due time after the frontier up to `upTo`, recorded alike: of a blocked, suspended, edited or deleted job. */
export function settleUpTo(
  input: Pick<FireInput, 'entry' | 'times' | 'cell'>,
  upTo: number,
  reason: string,
): Settlement[] {
  const { entry, times, cell } = input
  const due = times.missed(frontierOf(entry, cell), upTo)
  const waiting = cell?.waiting
  return [
    ...(waiting
      ? [{ first: waiting.time, last: waiting.time, count: 1, outcome: 'Skipped' as const, reason }]
      : []),
    ...(due ? [{ ...due, outcome: 'Missed' as const, reason }] : []),
  ]
}

/** Splits what is due into what is closed for good and what may still run. */
function judge(input: FireInput): {
  open: { first: number; last: number } | undefined
  settle: Settlement[]
} {
  const { entry, times, offset, cell, now } = input
  const frontier = frontierOf(entry, cell)
  const due = times.missed(frontier, now - offset)
  if (!due) return { open: undefined, settle: [] }
  const { before, reason } = cut(input, due)
  const closed = times.missed(frontier, Math.min(before - 1, now - offset))
  const first = closed ? times.next(closed.last) : due.first
  return {
    open: first !== undefined && first <= due.last ? { first, last: due.last } : undefined,
    settle: closed ? [{ ...closed, outcome: 'Missed', reason }] : [],
  }
}

/** Due times earlier than `before` can no longer run. */
function cut(input: FireInput, due: { last: number; count: number }): { before: number; reason: string } {
  const { entry, times, offset, now } = input
  const { startingDeadlineSeconds: deadline } = entry
  const late = deadline === undefined ? 0 : now - deadline * 1_000
  const fresh = now - offset - CATCH_UP_AFTER
  const stale = {
    None: () => fresh,
    Latest: () => Math.min(fresh, due.last),
    All: () => newest(times, due, entry.catchUpLimit),
  }[entry.catchUp]()
  return late >= stale
    ? { before: late, reason: LATE }
    : { before: stale, reason: entry.catchUp === 'All' ? 'CatchUpLimit' : 'NotCaughtUp' }
}

/** The earliest of the newest `limit` due times. */
function newest(times: Times, due: { last: number; count: number }, limit: number): number {
  if (due.count <= limit) return 0
  let earliest = due.last
  for (let i = 1; i < limit; i++) earliest = times.previous(earliest) ?? earliest
  return limit > 0 ? earliest : due.last + 1
}

/**
 * Forbid or Replace while a run is active: the newest due time waits, older ones are skipped. That holds too for those that nobody
 * looked at in time: what kept them was the run, unless their deadline had passed.
 */
function heldBack(
  input: FireInput,
  { open, settle }: { open: { first: number; last: number } | undefined; settle: Settlement[] },
): Decision {
  const { entry, times, cell } = input
  const waiting = cell?.waiting
  const past = settle.map(each =>
    each.reason === LATE ? each : { ...each, outcome: 'Skipped' as const, reason: 'Overlapped' },
  )
  const giveUp = waiting ? skip(input, waiting.time, waiting.time, 'Overlapped') : []
  if (open) {
    const before = times.previous(open.last)
    const older =
      before !== undefined && before >= open.first ? skip(input, open.first, before, 'Overlapped') : []
    return {
      kind: 'wait',
      time: open.last,
      replace: entry.concurrencyPolicy === 'Replace',
      settle: [...giveUp, ...past, ...older],
    }
  }
  return past.length > 0 ? { kind: 'settle', settle: past } : idle(input)
}

/**
 * Its wave has no place: the time waits, and is no catch-up any more. The newest one waits, as with Forbid; but under catchUp All each
 * has its turn: the oldest waits, the others stay open behind it. What its own run had held back until now waits for a place from here on.
 */
function withoutPlace(
  input: FireInput,
  { open, settle }: { open: { first: number; last: number } | undefined; settle: Settlement[] },
): Decision {
  const { entry, times, cell } = input
  const waiting = cell?.waiting
  const each = entry.catchUp === 'All'
  if (waiting && !waiting.wave && (each || !open))
    return { kind: 'wait', time: waiting.time, replace: false, wave: true, settle }
  if (!open || (each && waiting)) return settle.length > 0 ? { kind: 'settle', settle } : idle(input)
  if (each) return { kind: 'wait', time: open.first, replace: false, wave: true, settle }
  const giveUp = waiting ? skip(input, waiting.time, waiting.time, 'WaveFull') : []
  const before = times.previous(open.last)
  const older =
    before !== undefined && before >= open.first ? skip(input, open.first, before, 'WaveFull') : []
  return {
    kind: 'wait',
    time: open.last,
    replace: false,
    wave: true,
    settle: [...giveUp, ...settle, ...older],
  }
}

/** Until the next time is due, or the waiting one has expired. */
function idle(input: FireInput): Decision {
  const { entry, times, offset, cell, now } = input
  const next = times.next(Math.max(frontierOf(entry, cell), now - offset))
  const expires = waitsUntil(entry, cell)
  const looks = [
    expires === undefined ? undefined : expires + 1,
    next === undefined ? undefined : next + offset,
  ]
  const at = looks.filter(at => at !== undefined)
  return { kind: 'idle', at: at.length > 0 ? Math.min(...at) : undefined }
}

function ahead(input: FireInput): Decision {
  const { entry, times, offset, cell, now, lead } = input
  const time = times.next(frontierOf(entry, cell))
  if (time === undefined) return { kind: 'idle', at: undefined }
  const from = time + offset - (atLimit(input) ? 0 : lead)
  return now >= from ? { kind: 'claim', time, settle: [] } : { kind: 'idle', at: from }
}

/** What concurrency held back until its deadline had passed: whatever becomes of the run that is active. */
function expiredWaiting({ entry, cell, now }: FireInput): Settlement | undefined {
  const expires = waitsUntil(entry, cell)
  if (!cell?.waiting || expires === undefined || now <= expires) return undefined
  const { time, wave } = cell.waiting
  return { first: time, last: time, count: 1, outcome: wave ? 'Missed' : 'Skipped', reason: LATE }
}

/** The last moment at which the waiting time may start; undefined: it has no deadline, or nothing waits. */
export function waitsUntil(
  { startingDeadlineSeconds }: Pick<JobEntry, 'startingDeadlineSeconds'>,
  cell: Cell | undefined,
): number | undefined {
  return cell?.waiting && startingDeadlineSeconds !== undefined
    ? cell.waiting.time + startingDeadlineSeconds * 1_000
    : undefined
}

function atLimit({ entry, cell }: FireInput): boolean {
  return entry.maxConcurrentRuns !== undefined && (cell?.active.length ?? 0) >= entry.maxConcurrentRuns
}

function skip({ times }: FireInput, first: number, last: number, reason: string): Settlement[] {
  const count = first === last ? 1 : (times.missed(first - 1, last)?.count ?? 0)
  return count > 0 ? [{ first, last, count, outcome: 'Skipped', reason }] : []
}
