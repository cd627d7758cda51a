import type { RetentionLimits } from '../port.ts'
import { attemptIn, number, type Row, text } from '../result-rows.ts'
import type { Connection, Execute } from './connection.ts'
import { expire, pruneOrphans, type Removed, removePieces } from './expiry.ts'
import type { Partitions } from './partitions.ts'

/** How many rows one transaction examines. */
const ROWS_AT_ONCE = 500
/** How many fires of each class retention keeps: as many as a status may show. */
const SPARED = 20
/** A day's partition of output is dropped when it is empty and this old: no piece can still arrive for it. */
const SETTLED_MS = 2 * 86_400_000

const START = { time: Number.MIN_SAFE_INTEGER, id: 0 }

/**
 * Removes old results with their output, then output without a result, then output beyond the size limit. Each call does a part, in small
 * transactions that hardly wait for others, and remembers where it stopped. After the last old row it starts again, because a spared fire
 * may no longer be among the newest. The partition of a day that became empty is dropped, which frees its space at once.
 */
export function createRetention(of: {
  connection: Connection
  partitions: Partitions
}): (keep: RetentionLimits) => Promise<boolean> {
  const { connection, partitions } = of
  let at = START
  let orphansAfter = 0
  const pruneResults = async (after: number, isLiving: RetentionLimits['isLiving']): Promise<boolean> => {
    const { rows } = await connection.execute(
      `SELECT id, uid, run, attempt, time, clock_epoch FROM results WHERE time < $1 AND time >= $2 AND (time, id) > ($2, $3)
       ORDER BY time, id LIMIT ${ROWS_AT_ONCE}`,
      [after, at.time, at.id],
    )
    const living = [...new Set(rows.map(({ uid }) => String(uid)))].filter(isLiving)
    const passed =
      rows.length > 0 ? await connection.transaction(execute => remove(execute, rows, living)) : 0
    const isMore = passed < rows.length || rows.length === ROWS_AT_ONCE
    const last = rows[passed - 1]
    if (last && isMore) at = { time: number(last.time) ?? 0, id: number(last.id) ?? 0 }
    if (!isMore) at = START
    return isMore || (await partitions.dropEmpty('results', after))
  }
  const pruneOld = async (after: number, isLiving: RetentionLimits['isLiving']): Promise<boolean> => {
    if (await pruneResults(after, isLiving)) return true
    const next = await connection.transaction(execute => pruneOrphans(execute, { after, from: orphansAfter }))
    orphansAfter = next ?? 0
    return next !== undefined
  }
  return async ({ after, outputBytes, isLiving }) => {
    if (after !== undefined && (await pruneOld(after, isLiving))) return true
    if (outputBytes !== undefined && (await connection.transaction(execute => expire(execute, outputBytes))))
      return true
    const { rows } = await connection.execute('SELECT extract(epoch FROM now()) * 1000 AS now')
    return await partitions.dropEmpty('output_pieces', Number(rows[0]?.now) - SETTLED_MS)
  }
}

/**
 * Removes the rows with their output, except those of living objects' newest fires, and the fires that have no row left. It stops at a row
 * whose output is too large for one transaction, and resolves to the number of rows before it.
 */
async function remove(execute: Execute, rows: readonly Row[], living: readonly string[]): Promise<number> {
  const spared = await execute(
    `SELECT f.uid, f.clock_epoch, f.time FROM fires f
     JOIN (SELECT DISTINCT uid, clock_epoch, time
       FROM json_to_recordset($1::json) AS r (uid text, clock_epoch bigint, time bigint)) AS old USING (uid, clock_epoch, time)
     WHERE f.uid = ANY ($2::text[]) AND NOT EXISTS (
       SELECT 1 FROM fires g WHERE g.uid = f.uid AND g.class = f.class
         AND (g.clock_epoch, g.time) > (f.clock_epoch, f.time) OFFSET ${SPARED - 1})`,
    [JSON.stringify(rows), living],
  )
  const keyOf = (row: Row) => `${text(row.uid)} ${number(row.clock_epoch)} ${number(row.time)}`
  const stay = new Set(spared.rows.map(keyOf))
  const old = rows.filter(row => !stay.has(keyOf(row)))
  if (old.length === 0) return rows.length
  const { emptied, first } = await removeOutputs(execute, old)
  const passed = first === undefined ? rows.length : rows.indexOf(first)
  const gone = rows.slice(0, passed).filter(row => !stay.has(keyOf(row)))
  if (emptied.length > 0) await execute('DELETE FROM outputs WHERE id = ANY ($1::bigint[])', [emptied])
  if (gone.length > 0) await removeRows(execute, gone)
  return passed
}

/** `first`: the first of these rows whose output is not removed yet. */
async function removeOutputs(
  execute: Execute,
  rows: readonly Row[],
): Promise<Removed & { first: Row | undefined }> {
  const attempts = rows.map((row, n) => ({ n, ...attemptIn(row) }))
  const heads = await execute(
    `SELECT w.n, o.id, o.at FROM outputs o
     JOIN json_to_recordset($1::json) AS w (n int, uid text, run text, attempt bigint)
       ON o.run = w.run AND o.uid = w.uid AND o.attempt = w.attempt
     ORDER BY w.n FOR UPDATE OF o`,
    [JSON.stringify(attempts)],
  )
  const removed = await removePieces(execute, heads.rows)
  const stopped = heads.rows.find(({ id }) => Number(id) === removed.next)
  return { ...removed, first: stopped && rows[Number(stopped.n)] }
}

async function removeRows(execute: Execute, gone: readonly Row[]): Promise<void> {
  const keys = JSON.stringify(
    gone.map(row => ({ ...attemptIn(row), time: number(row.time), clock_epoch: number(row.clock_epoch) })),
  )
  const old =
    'json_to_recordset($1::json) AS old (uid text, time bigint, clock_epoch bigint, run text, attempt bigint)'
  const earliest = Math.min(...gone.map(row => number(row.time) ?? 0))
  const latest = Math.max(...gone.map(row => number(row.time) ?? 0))
  await execute(
    `DELETE FROM results r USING ${old} WHERE r.uid = old.uid AND r.time = old.time AND r.run = old.run
     AND r.attempt = old.attempt AND r.time BETWEEN $2 AND $3`,
    [keys, earliest, latest],
  )
  await execute(
    `DELETE FROM fires f USING (SELECT DISTINCT uid, clock_epoch, time FROM ${old}) AS old
     WHERE f.uid = old.uid AND f.clock_epoch = old.clock_epoch AND f.time = old.time AND NOT EXISTS (
       SELECT 1 FROM results r WHERE r.uid = old.uid AND r.time = old.time AND r.clock_epoch = old.clock_epoch
         AND r.time BETWEEN $2 AND $3)`,
    [keys, earliest, latest],
  )
}
