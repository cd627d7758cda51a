import { scheduledIn } from '../../../core/keys.ts'
import type { AttemptRef, Runner, StoredResult } from '../port.ts'
import { attemptIn, COLUMNS, columnsOf, type Row, runnerIn } from '../result-rows.ts'
import type { Execute } from './connection.ts'
import { escaped } from './escape-text.ts'
import { addFires } from './fires.ts'

const INSERT = `
  INSERT INTO results (${COLUMNS.join(', ')})
  SELECT ${COLUMNS.join(', ')} FROM json_populate_recordset(null::results, $1::json)
  ON CONFLICT (uid, time, run, attempt) DO NOTHING
  RETURNING id, uid, run, attempt`

/** Runs within a transaction. The partitions must exist. Inserts in the order of the key, so that two operators cannot deadlock. */
export async function addResults(execute: Execute, results: readonly StoredResult[]): Promise<void> {
  const ordered = results.toSorted(
    (a, b) => compare(a.uid, b.uid) || a.time - b.time || compare(a.run, b.run) || a.attempt - b.attempt,
  )
  const { rows } = await execute(INSERT, [JSON.stringify(ordered.map(result => escaped(columnsOf(result))))])
  const added = new Map(rows.map(({ id, uid, run, attempt }) => [keyOf({ uid, run, attempt }), Number(id)]))
  const fresh: { result: StoredResult; id: number }[] = []
  for (const result of ordered) {
    const id = added.get(keyOf(result))
    if (id === undefined) continue
    added.delete(keyOf(result))
    fresh.push({ result, id })
  }
  if (fresh.length > 0) await addFires(execute, fresh)
}

/** The key has the time before the run. A job's run id contains the time. A ShellRun's does not: all days are read, as there are few. */
const RAN_BY = {
  scheduled: `SELECT r.uid, r.run, r.attempt, r.pool, r.agent FROM results r
    JOIN json_to_recordset($1::json) AS w (uid text, time bigint, run text, attempt bigint)
      ON r.uid = w.uid AND r.time = w.time AND r.run = w.run AND r.attempt = w.attempt
    WHERE r.time BETWEEN $2 AND $3`,
  once: `SELECT r.uid, r.run, r.attempt, r.pool, r.agent FROM results r
    JOIN json_to_recordset($1::json) AS w (uid text, run text, attempt bigint)
      ON r.uid = w.uid AND r.run = w.run AND r.attempt = w.attempt`,
}

export async function ranBy(
  execute: Execute,
  attempts: readonly AttemptRef[],
): Promise<(Runner | undefined)[]> {
  const wanted = attempts.map(({ uid, run, attempt }) => ({ uid, run, attempt, time: scheduledIn(run) }))
  const [once = [], scheduled = []] = [true, false].map(isOnce =>
    wanted.filter(({ time }) => (time === undefined) === isOnce),
  )
  const rows: Row[] = []
  if (scheduled.length > 0) {
    const times = scheduled.map(({ time = 0 }) => time)
    const of = [JSON.stringify(scheduled), Math.min(...times), Math.max(...times)]
    rows.push(...(await execute(RAN_BY.scheduled, of)).rows)
  }
  if (once.length > 0) rows.push(...(await execute(RAN_BY.once, [JSON.stringify(once)])).rows)
  const found = new Map(rows.map(row => [keyOf(attemptIn(row)), runnerIn(row)]))
  return attempts.map(attempt => found.get(keyOf(attempt)))
}

function keyOf({ uid, run, attempt }: { uid: string; run: string; attempt: number }): string {
  return `${uid} ${run} ${attempt}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
