import type { DatabaseSync } from 'node:sqlite'
import { ANYWHERE } from '../../../core/keys.ts'
import { type FireSummary, gravity, type Milestones } from '../../../core/status/fire-summary.ts'
import { summaryOf } from '../fire-summary-row.ts'
import { type FireSum, merged, sumOf } from '../fire-sums.ts'
import type { StoredResult } from '../port.ts'
import { given, number, type Row, text } from '../result-rows.ts'

/** At most so many targets are named. */
const NAMED = 10

/** Of each class: as many as a status may show. */
const SPARED = 20

const CLASSES: readonly FireSum['class'][] = ['succeeded', 'failed', 'other', 'open']

/** The sums per fire, kept in step with the rows: `add` in the transaction that inserted one, and only if it was new. */
export function createFires(db: DatabaseSync) {
  const known = db.prepare(
    `SELECT * FROM fires WHERE uid = :uid AND class IN (${CLASSES.map(one => `'${one}'`).join(', ')}) AND time = :time`,
  )
  const put = db.prepare(`
    INSERT OR REPLACE INTO fires (uid, class, time, gravity, result, started_at, ended_at, succeeded, failed, missed, taken)
    VALUES (:uid, :class, :time, :gravity, :result, :startedAt, :endedAt, :succeeded, :failed, :missed, :taken)`)
  const drop = db.prepare('DELETE FROM fires WHERE uid = :uid AND class = :class AND time = :time')
  const newest = db.prepare(`
    SELECT f.time, f.started_at, f.ended_at, f.succeeded, f.failed, f.missed,
           r.kind, r.namespace, r.name, r.outcome, r.exit_code, r.signal, r.reason, r.message, r.tail,
           r.range_first, r.range_count
    FROM fires f JOIN results r ON r.id = f.result
    WHERE f.uid = :uid AND f.class = :class ORDER BY f.time DESC LIMIT :limit`)
  const failedTargets = db.prepare(`
    SELECT target FROM results INDEXED BY results_bad_uid
    WHERE uid = :uid AND time = :time AND outcome <> 'Succeeded' AND final = 1 AND gravity >= :grave AND target <> :anywhere
    ORDER BY target LIMIT ${NAMED}`)
  const taken = db.prepare(`
    SELECT time FROM fires WHERE uid = :uid AND class = :class AND taken = 1 ORDER BY time DESC LIMIT 1`)
  const streak = db.prepare(`
    SELECT ended_at FROM fires WHERE uid = :uid AND class = :class AND time > :after ORDER BY time LIMIT 1`)

  const newer = db.prepare('SELECT 1 FROM fires WHERE uid = ? AND class = ? AND time > ? LIMIT 1 OFFSET ?')

  const latest = (uid: string, of: string): Row | undefined => newest.get({ uid, class: of, limit: 1 })

  return {
    add(result: StoredResult, id: number): void {
      const { uid, time } = result
      const before = known.get({ uid, time })
      const one = sumOf(result, id)
      const sum = before ? merged(sumIn(before), one) : one
      if (before && before.class !== sum.class) drop.run({ uid, time, class: text(before.class) ?? '' })
      const { startedAt = null, taken, ...rest } = sum
      put.run({ uid, time, ...rest, startedAt, taken: taken ? 1 : 0 })
    },

    /** Is it among the newest of its class, on which the object's status rests? */
    isRecent(uid: string, time: number): boolean {
      const row = known.get({ uid, time })
      return row !== undefined && !newer.get(uid, text(row.class) ?? '', time, SPARED - 1)
    },

    /** Its results are gone. */
    remove(uid: string, time: number): void {
      for (const one of CLASSES) drop.run({ uid, time, class: one })
    },

    recent(uid: string, limit: { succeeded: number; failed: number }): FireSummary[] {
      const rows = [
        ...newest.all({ uid, class: 'succeeded', limit: limit.succeeded }),
        ...newest.all({ uid, class: 'failed', limit: limit.failed }),
        ...newest.all({ uid, class: 'other', limit: 1 }),
      ]
      return rows
        .map(row => summaryOf(row, uid, time => targetsOf(uid, time)))
        .sort((a, b) => b.time - a.time)
    },

    milestones(uid: string): Milestones {
      const good = latest(uid, 'succeeded')
      const bad = latest(uid, 'failed')
      const timeOf = (row: Row | undefined) => number(row?.time) ?? -1
      const now =
        timeOf(bad) > timeOf(good)
          ? { class: 'failed', after: timeOf(good) }
          : { class: 'succeeded', after: timeOf(bad) }
      const since = streak.get({ uid, ...now })
      return {
        ...given('lastScheduled', lastTaken(uid)),
        ...given('lastSuccessful', number(good?.ended_at)),
        ...given('lastFailure', number(bad?.ended_at)),
        ...given('failureTail', text(bad?.tail)),
        ...given('since', number(since?.ended_at)),
      }
    },
  }

  function lastTaken(uid: string): number | undefined {
    const times = CLASSES.map(one => number(taken.get({ uid, class: one })?.time))
    const known = times.filter(time => time !== undefined)
    return known.length > 0 ? Math.max(...known) : undefined
  }

  function targetsOf(uid: string, time: number): string[] {
    const rows = failedTargets.all({ uid, time, grave: gravity('Missed'), anywhere: ANYWHERE })
    return rows.map(row => text(row.target) ?? '')
  }
}

function sumIn(row: Row): FireSum {
  const count = (column: string) => number(row[column]) ?? 0
  return {
    class: text(row.class) as FireSum['class'],
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
