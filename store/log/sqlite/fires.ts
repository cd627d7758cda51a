import type { DatabaseSync } from 'node:sqlite'
import { ANYWHERE } from '../../../core/keys.ts'
import { type FireSummary, gravity, type Milestones } from '../../../core/status/fire-summary.ts'
import { aggregateOf, type FireAggregate, mergeAggregates } from '../fire-aggregate.ts'
import { summaryOf } from '../fire-summary-row.ts'
import type { StoredResult } from '../port.ts'
import { number, optional, type Row, text } from '../result-rows.ts'

/** How many failed targets a summary names. */
const NAMED = 10

/** How many fires of each class retention keeps: as many as a status may show. */
const SPARED = 20

const CLASSES: readonly FireAggregate['class'][] = ['succeeded', 'failed', 'other', 'open']

const FIND = `
  SELECT * FROM fires WHERE uid = :uid AND class IN (${CLASSES.map(one => `'${one}'`).join(', ')}) AND time = :time`
const PUT = `
  INSERT OR REPLACE INTO fires (uid, class, time, gravity, result, started_at, ended_at, succeeded, failed, missed, taken)
  VALUES (:uid, :class, :time, :gravity, :result, :startedAt, :endedAt, :succeeded, :failed, :missed, :taken)`
const DELETE = 'DELETE FROM fires WHERE uid = :uid AND class = :class AND time = :time'
const NEWEST = `
  SELECT f.time, f.started_at, f.ended_at, f.succeeded, f.failed, f.missed,
         r.kind, r.namespace, r.name, r.outcome, r.exit_code, r.signal, r.reason, r.message, r.tail,
         r.range_first, r.range_count
  FROM fires f JOIN results r ON r.id = f.result
  WHERE f.uid = :uid AND f.class = :class ORDER BY f.time DESC LIMIT :limit`
const FAILED_TARGETS = `
  SELECT target FROM results INDEXED BY results_bad_uid
  WHERE uid = :uid AND time = :time AND outcome <> 'Succeeded' AND final = 1 AND gravity >= :grave AND target <> :anywhere
  ORDER BY target LIMIT ${NAMED}`
const LAST_TAKEN =
  'SELECT time FROM fires WHERE uid = :uid AND class = :class AND taken = 1 ORDER BY time DESC LIMIT 1'
const STREAK =
  'SELECT ended_at FROM fires WHERE uid = :uid AND class = :class AND time > :after ORDER BY time LIMIT 1'
const NEWER = 'SELECT 1 FROM fires WHERE uid = ? AND class = ? AND time > ? LIMIT 1 OFFSET ?'

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
    const { uid, time } = result
    const before = this.#find.get({ uid, time })
    const one = aggregateOf(result, id)
    const sum = before ? mergeAggregates(aggregateIn(before), one) : one
    if (before && before.class !== sum.class) this.#delete.run({ uid, time, class: text(before.class) ?? '' })
    const { startedAt = null, taken, ...rest } = sum
    this.#put.run({ uid, time, ...rest, startedAt, taken: taken ? 1 : 0 })
  }

  /** Whether it is among the newest of its class. The object's status is computed from these. */
  isRecent(uid: string, time: number): boolean {
    const row = this.#find.get({ uid, time })
    return row !== undefined && !this.#newer.get(uid, text(row.class) ?? '', time, SPARED - 1)
  }

  /** Removes a fire that has no results left. */
  remove(uid: string, time: number): void {
    for (const one of CLASSES) this.#delete.run({ uid, time, class: one })
  }

  recent(uid: string, limit: { succeeded: number; failed: number }): FireSummary[] {
    const rows = [
      ...this.#newest.all({ uid, class: 'succeeded', limit: limit.succeeded }),
      ...this.#newest.all({ uid, class: 'failed', limit: limit.failed }),
      ...this.#newest.all({ uid, class: 'other', limit: 1 }),
    ]
    return rows
      .map(row => summaryOf(row, uid, time => this.#targetsOf(uid, time)))
      .sort((a, b) => b.time - a.time)
  }

  milestones(uid: string): Milestones {
    const good = this.#latest(uid, 'succeeded')
    const bad = this.#latest(uid, 'failed')
    const timeOf = (row: Row | undefined) => number(row?.time) ?? -1
    const now =
      timeOf(bad) > timeOf(good)
        ? { class: 'failed', after: timeOf(good) }
        : { class: 'succeeded', after: timeOf(bad) }
    const since = this.#streak.get({ uid, ...now })
    return {
      ...optional('lastScheduled', this.#lastTakenTime(uid)),
      ...optional('lastSuccessful', number(good?.ended_at)),
      ...optional('lastFailure', number(bad?.ended_at)),
      ...optional('failureTail', text(bad?.tail)),
      ...optional('since', number(since?.ended_at)),
    }
  }

  #latest(uid: string, of: string): Row | undefined {
    return this.#newest.get({ uid, class: of, limit: 1 })
  }

  #lastTakenTime(uid: string): number | undefined {
    const times = CLASSES.map(one => number(this.#lastTaken.get({ uid, class: one })?.time))
    const known = times.filter(time => time !== undefined)
    return known.length > 0 ? Math.max(...known) : undefined
  }

  #targetsOf(uid: string, time: number): string[] {
    const rows = this.#failedTargets.all({ uid, time, grave: gravity('Missed'), anywhere: ANYWHERE })
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
