import type { DatabaseSync } from 'node:sqlite'
import { ANYWHERE, clockEpochIn } from '../../../core/keys.ts'
import { type FireSummary, gravity, type Milestones } from '../../../core/status/fire-summary.ts'
import { aggregateOf, type FireAggregate, mergeAggregates } from '../fire-aggregate.ts'
import { compareFires, summaryOf } from '../fire-summary-row.ts'
import type { StoredResult } from '../port.ts'
import { number, optional, type Row, text } from '../result-rows.ts'

/** How many failed targets a summary names. */
const NAMED = 10

/** For a query that is not limited by time. */
const ANY_TIME = Number.MAX_SAFE_INTEGER

/** How many fires of each class retention keeps: as many as a status may show. */
const SPARED = 20

const CLASSES: readonly FireAggregate['class'][] = ['succeeded', 'failed', 'other', 'open']

const FIND = `
  SELECT * FROM fires WHERE uid = :uid AND class IN (${CLASSES.map(one => `'${one}'`).join(', ')}) AND clock_epoch = :clockEpoch AND time = :time`
const PUT = `
  INSERT OR REPLACE INTO fires
    (uid, class, clock_epoch, time, gravity, result, started_at, ended_at, succeeded, failed, missed, taken)
  VALUES (:uid, :class, :clockEpoch, :time, :gravity, :result, :startedAt, :endedAt, :succeeded, :failed, :missed, :taken)`
const DELETE =
  'DELETE FROM fires WHERE uid = :uid AND class = :class AND clock_epoch = :clockEpoch AND time = :time'
const NEWEST = `
  SELECT f.time, f.clock_epoch, f.started_at, f.ended_at, f.succeeded, f.failed, f.missed,
         r.kind, r.namespace, r.name, r.outcome, r.exit_code, r.signal, r.reason, r.message, r.tail,
         r.range_first, r.range_count
  FROM fires f JOIN results r ON r.id = f.result
  WHERE f.uid = :uid AND f.class = :class AND f.time <= :upTo ORDER BY f.clock_epoch DESC, f.time DESC LIMIT :limit`
const FAILED_TARGETS = `
  SELECT target FROM results INDEXED BY results_bad_uid
  WHERE uid = :uid AND time = :time AND clock_epoch = :clockEpoch AND outcome <> 'Succeeded' AND final = 1 AND gravity >= :grave AND target <> :anywhere
  ORDER BY target LIMIT ${NAMED}`
const LAST_TAKEN = `
  SELECT clock_epoch, time FROM fires WHERE uid = :uid AND class = :class AND taken = 1 AND time <= :upTo
  ORDER BY clock_epoch DESC, time DESC LIMIT 1`
const STREAK = `
  SELECT ended_at FROM fires WHERE uid = :uid AND class = :class AND (clock_epoch, time) > (:clockEpoch, :time) AND time <= :upTo
  ORDER BY clock_epoch, time LIMIT 1`
const NEWER =
  'SELECT 1 FROM fires WHERE uid = ? AND class = ? AND (clock_epoch, time) > (?, ?) LIMIT 1 OFFSET ?'

/** Identifies a fire. */
export interface FireRef {
  uid: string
  clockEpoch: number
  time: number
}

/** One row for each fire, computed from its results. */
export class Fires {
  readonly #find
  readonly #put
  readonly #delete
  readonly #newest
  readonly #failedTargets
  readonly #lastTaken
  readonly #streak
  readonly #newer

  constructor(db: DatabaseSync) {
    this.#find = db.prepare(FIND)
    this.#put = db.prepare(PUT)
    this.#delete = db.prepare(DELETE)
    this.#newest = db.prepare(NEWEST)
    this.#failedTargets = db.prepare(FAILED_TARGETS)
    this.#lastTaken = db.prepare(LAST_TAKEN)
    this.#streak = db.prepare(STREAK)
    this.#newer = db.prepare(NEWER)
  }

  /** Adds a new result, in the transaction that inserted it as row `id`. */
  add(result: StoredResult, id: number): void {
    const of: FireRef = { uid: result.uid, clockEpoch: clockEpochIn(result.run), time: result.time }
    const before = this.#find.get({ ...of })
    const one = aggregateOf(result, id)
    const sum = before ? mergeAggregates(aggregateIn(before), one) : one
    if (before && before.class !== sum.class) this.#delete.run({ ...of, class: text(before.class) ?? '' })
    const { startedAt = null, taken, ...rest } = sum
    this.#put.run({ ...of, ...rest, startedAt, taken: taken ? 1 : 0 })
  }

  /** Whether it is among the newest of its class. The object's status is computed from these. */
  isRecent(of: FireRef): boolean {
    const row = this.#find.get({ ...of })
    const { uid, clockEpoch, time } = of
    return row !== undefined && !this.#newer.get(uid, text(row.class) ?? '', clockEpoch, time, SPARED - 1)
  }

  /** Removes a fire that has no results left. */
  remove(of: FireRef): void {
    for (const one of CLASSES) this.#delete.run({ ...of, class: one })
  }

  recent(uid: string, limit: { succeeded: number; failed: number }): FireSummary[] {
    const rows = [
      ...this.#newest.all({ uid, upTo: ANY_TIME, class: 'succeeded', limit: limit.succeeded }),
      ...this.#newest.all({ uid, upTo: ANY_TIME, class: 'failed', limit: limit.failed }),
      ...this.#newest.all({ uid, upTo: ANY_TIME, class: 'other', limit: 1 }),
    ]
    return rows
      .toSorted((a, b) => compareFires(b, a))
      .map(row => summaryOf(row, uid, of => this.#targetsOf({ uid, ...of })))
  }

  milestones(uid: string, upTo = ANY_TIME): Milestones {
    const good = this.#latest(uid, 'succeeded', upTo)
    const bad = this.#latest(uid, 'failed', upTo)
    const isFailing = compareFires(bad, good) > 0
    const after = isFailing ? good : bad
    const since = this.#streak.get({
      uid,
      upTo,
      class: isFailing ? 'failed' : 'succeeded',
      clockEpoch: number(after?.clock_epoch) ?? -1,
      time: number(after?.time) ?? -1,
    })
    return {
      ...optional('lastScheduled', this.#lastTakenTime(uid, upTo)),
      ...optional('lastSuccessful', number(good?.ended_at)),
      ...optional('lastFailure', number(bad?.ended_at)),
      ...optional('failureTail', text(bad?.tail)),
      ...optional('since', number(since?.ended_at)),
    }
  }

  #latest(uid: string, of: string, upTo: number): Row | undefined {
    return this.#newest.get({ uid, class: of, upTo, limit: 1 })
  }

  #lastTakenTime(uid: string, upTo: number): number | undefined {
    const rows = CLASSES.map(one => this.#lastTaken.get({ uid, class: one, upTo }))
    return number(rows.toSorted((a, b) => compareFires(b, a))[0]?.time)
  }

  #targetsOf(of: FireRef): string[] {
    const rows = this.#failedTargets.all({ ...of, grave: gravity('Missed'), anywhere: ANYWHERE })
    return rows.map(row => text(row.target) ?? '')
  }
}

function aggregateIn(row: Row): FireAggregate {
  const count = (column: string) => number(row[column]) ?? 0
  return {
    class: text(row.class) as FireAggregate['class'],
    gravity: count('gravity'),
    result: count('result'),
    startedAt: number(row.started_at),
    endedAt: count('ended_at'),
    succeeded: count('succeeded'),
    failed: count('failed'),
    missed: count('missed'),
    taken: row.taken === 1,
  }
}
