import type { Keep } from '../port.ts'
import { number, type Row, text } from '../rows.ts'
import { attemptIn } from '../search.ts'
import type { Ask, Connection } from './connection.ts'
import type { Partitions } from './partitions.ts'

/** Rows that are looked at, and attempts whose output goes, in one transaction. */
const ROWS_AT_ONCE = 500
const OUTPUTS_AT_ONCE = 50
/** Of each class of fires: as many as a status may show. */
const SPARED = 20
/** A day's partition of output is dropped when it is empty and nothing can come to it any more. */
const SETTLED_MS = 2 * 86_400_000

const START = { time: Number.MIN_SAFE_INTEGER, id: 0 }

/**
 * Rows go in small transactions, that wait for nobody and that nobody waits for; a day that has become empty is dropped, which gives its
 * space back at once. As with SQLite a pass goes over what is old by time, and at its end the next one begins anew.
 */
export function createRetention(of: {
  connection: Connection
  partitions: Partitions
}): (keep: Keep) => Promise<boolean> {
  const { connection, partitions } = of
  let at = START
  const pruneResults = async (after: number, isLiving: Keep['isLiving']): Promise<boolean> => {
    const { rows } = await connection.ask(
      `SELECT id, uid, run, attempt, time FROM results WHERE time < $1 AND time >= $2 AND (time, id) > ($2, $3)
       ORDER BY time, id LIMIT ${ROWS_AT_ONCE}`,
      [after, at.time, at.id],
    )
    const living = [...new Set(rows.map(({ uid }) => String(uid)))].filter(isLiving)
    if (rows.length > 0) await connection.transaction(ask => remove(ask, rows, living))
    const last = rows.length === ROWS_AT_ONCE ? rows.at(-1) : undefined
    at = last ? { time: number(last.time) ?? 0, id: number(last.id) ?? 0 } : START
    return last !== undefined || (await partitions.dropEmpty('results', after))
  }
  return async ({ after, outputBytes, isLiving }) => {
    if (after !== undefined && (await pruneResults(after, isLiving))) return true
    if (outputBytes !== undefined && (await connection.transaction(ask => expire(ask, outputBytes))))
      return true
    const { rows } = await connection.ask('SELECT extract(epoch FROM now()) * 1000 AS now')
    return await partitions.dropEmpty('output_pieces', Number(rows[0]?.now) - SETTLED_MS)
  }
}

/** All rows but those of living objects' newest fires, with their output; and the fires that have no row left. */
async function remove(ask: Ask, rows: readonly Row[], living: readonly string[]): Promise<void> {
  const spared = await ask(
    `SELECT f.uid, f.time FROM fires f
     JOIN (SELECT DISTINCT uid, time FROM json_to_recordset($1::json) AS r (uid text, time bigint)) AS old USING (uid, time)
     WHERE f.uid = ANY ($2::text[]) AND NOT EXISTS (
       SELECT 1 FROM fires g WHERE g.uid = f.uid AND g.class = f.class AND g.time > f.time OFFSET ${SPARED - 1})`,
    [JSON.stringify(rows), living],
  )
  const keyOf = (row: Row) => `${text(row.uid)} ${number(row.time)}`
  const stay = new Set(spared.rows.map(keyOf))
  const gone = rows.filter(row => !stay.has(keyOf(row)))
  if (gone.length === 0) return
  const keys = JSON.stringify(gone.map(row => ({ ...attemptIn(row), time: number(row.time) })))
  const old = 'json_to_recordset($1::json) AS old (uid text, time bigint, run text, attempt bigint)'
  const earliest = Math.min(...gone.map(row => number(row.time) ?? 0))
  const latest = Math.max(...gone.map(row => number(row.time) ?? 0))
  await ask(
    `DELETE FROM results r USING ${old} WHERE r.uid = old.uid AND r.time = old.time AND r.run = old.run
     AND r.attempt = old.attempt AND r.time BETWEEN $2 AND $3`,
    [keys, earliest, latest],
  )
  const heads = await ask(
    `DELETE FROM outputs o USING ${old} WHERE o.uid = old.uid AND o.run = old.run AND o.attempt = old.attempt
     RETURNING o.id, o.at`,
    [keys],
  )
  await removePieces(ask, heads.rows)
  await ask(
    `DELETE FROM fires f USING (SELECT DISTINCT uid, time FROM ${old}) AS old
     WHERE f.uid = old.uid AND f.time = old.time AND NOT EXISTS (
       SELECT 1 FROM results r WHERE r.uid = old.uid AND r.time = old.time AND r.time BETWEEN $2 AND $3)`,
    [keys, earliest, latest],
  )
}

/** Some of the oldest output that has ended, down to the size. Answers whether there may be more. */
async function expire(ask: Ask, most: number): Promise<boolean> {
  const { rows } = await ask('SELECT coalesce(sum(kept), 0)::bigint AS bytes FROM outputs WHERE kept > 0')
  let over = Number(rows[0]?.bytes) - most
  if (over <= 0) return false
  const oldest = await ask(
    `SELECT id, at, kept FROM outputs WHERE kept > 0 AND ended = 1 ORDER BY id LIMIT ${OUTPUTS_AT_ONCE}
     FOR UPDATE SKIP LOCKED`,
  )
  const gone: Row[] = []
  for (const row of oldest.rows) {
    if (over <= 0) break
    gone.push(row)
    over -= Number(row.kept)
  }
  if (gone.length === 0) return false
  await ask('UPDATE outputs SET expired = 1, kept = 0 WHERE id = ANY ($1::bigint[])', [
    gone.map(({ id }) => id),
  ])
  await removePieces(ask, gone)
  return over > 0
}

async function removePieces(ask: Ask, heads: readonly Row[]): Promise<void> {
  const days = new Set(heads.map(({ at }) => Number(at)))
  if (days.size === 0) return
  await ask(
    `DELETE FROM output_pieces p USING json_to_recordset($1::json) AS h (id bigint, at bigint)
     WHERE p.output = h.id AND p.at = h.at AND p.at BETWEEN $2 AND $3`,
    [JSON.stringify(heads.map(({ id, at }) => ({ id, at }))), Math.min(...days), Math.max(...days)],
  )
}
