import { attemptIn, number, type Row } from '../result-rows.ts'
import type { Budget } from '../retention-budget.ts'
import type { Execute } from './connection.ts'
import { ranBy } from './results.ts'

/** Removes output for retention: some pieces in each transaction, so that no statement takes long, however much an attempt wrote. */

/** Limits of one transaction. */
const HEADS_AT_ONCE = 500
const AT_ONCE: Readonly<Budget> = { pieces: 2_000, bytes: 32 * 1_024 * 1_024 }

/** `emptied`: ids of heads that have no pieces left. `next`: the first head that still has some; it is marked as expired. */
export interface Removed {
  emptied: number[]
  next: number | undefined
}

/** Removes pieces of these heads (`id`, `at`) in order, as many as one transaction may remove. */
export async function removePieces(execute: Execute, heads: readonly Row[]): Promise<Removed> {
  const ids = heads.map(({ id }) => Number(id))
  if (ids.length === 0) return { emptied: [], next: undefined }
  const days = heads.map(({ at }) => Number(at))
  const { rows } = await execute(
    `DELETE FROM output_pieces p USING (
       SELECT *, sum(bytes) OVER (ORDER BY n, position) - bytes AS before FROM (
         SELECT h.n, q.output, q.position, q.at, octet_length(q.chunks) AS bytes FROM output_pieces q
         JOIN json_to_recordset($1::json) AS h (n int, id bigint, at bigint) ON q.output = h.id AND q.at = h.at
         WHERE q.at BETWEEN $2 AND $3 ORDER BY h.n, q.position LIMIT ${AT_ONCE.pieces}) AS first) AS old
     WHERE p.output = old.output AND p.position = old.position AND p.at = old.at AND p.at BETWEEN $2 AND $3
       AND old.before < ${AT_ONCE.bytes}
     RETURNING old.n, old.bytes`,
    [
      JSON.stringify(heads.map(({ id, at }, n) => ({ n, id, at }))),
      days.reduce((a, b) => Math.min(a, b)),
      days.reduce((a, b) => Math.max(a, b)),
    ],
  )
  const bytes = rows.reduce((sum, row) => sum + Number(row.bytes), 0)
  const isAll = rows.length < AT_ONCE.pieces && bytes < AT_ONCE.bytes
  // Pieces are removed in the order of the heads: the last head that was touched may have more.
  const last = isAll ? ids.length : rows.reduce((most, { n }) => Math.max(most, Number(n)), 0)
  const next = ids[last]
  if (next !== undefined) {
    const taken = rows.reduce((sum, row) => sum + (Number(row.n) === last ? Number(row.bytes) : 0), 0)
    await execute('UPDATE outputs SET expired = 1, kept = greatest(kept - $2, 0) WHERE id = $1', [
      next,
      taken,
    ])
  }
  return { emptied: ids.slice(0, last), next }
}

/** Removes some of the oldest output that has ended, down to `limit` bytes. Resolves to whether there may be more. */
export async function expire(execute: Execute, limit: number): Promise<boolean> {
  const { rows } = await execute('SELECT coalesce(sum(kept), 0)::bigint AS bytes FROM outputs WHERE kept > 0')
  let over = Number(rows[0]?.bytes) - limit
  if (over <= 0) return false
  const oldest = await execute(
    `SELECT id, at, kept FROM outputs WHERE kept > 0 AND ended = 1 ORDER BY id LIMIT ${HEADS_AT_ONCE}
     FOR UPDATE SKIP LOCKED`,
  )
  const going: Row[] = []
  for (const row of oldest.rows) {
    if (over <= 0) break
    going.push(row)
    over -= Number(row.kept)
  }
  if (going.length === 0) return false
  const { emptied, next } = await removePieces(execute, going)
  await execute('UPDATE outputs SET expired = 1, kept = 0 WHERE id = ANY ($1::bigint[])', [emptied])
  return over > 0 || next !== undefined
}

/**
 * Removes some output without a result, of which no piece arrived since `after`: the oldest first, behind head `from`. Resolves to the head
 * to continue behind, or undefined if there is no more.
 */
export async function pruneOrphans(
  execute: Execute,
  { after, from }: { after: number; from: number },
): Promise<number | undefined> {
  const { rows } = await execute(
    `SELECT id, at, uid, run, attempt FROM outputs WHERE id > $1 ORDER BY id LIMIT ${HEADS_AT_ONCE}`,
    [from],
  )
  // Heads are in the order in which they began.
  const young = rows.findIndex(({ at }) => Number(at) >= after)
  const old = young < 0 ? rows : rows.slice(0, young)
  const next = await removeOrphans(execute, old, after)
  if (next !== undefined) return next - 1
  return old.length === HEADS_AT_ONCE ? number(old.at(-1)?.id) : undefined
}

/** Resolves to the first head that still has pieces. */
async function removeOrphans(
  execute: Execute,
  heads: readonly Row[],
  after: number,
): Promise<number | undefined> {
  const runners = await ranBy(execute, heads.map(attemptIn))
  // An attempt whose output arrives now is no orphan.
  const orphans = await execute(
    'SELECT id, at FROM outputs WHERE id = ANY ($1::bigint[]) AND said < $2 ORDER BY id FOR UPDATE SKIP LOCKED',
    [heads.filter((_, index) => !runners[index]).map(({ id }) => id), after],
  )
  const { emptied, next } = await removePieces(execute, orphans.rows)
  if (emptied.length > 0) await execute('DELETE FROM outputs WHERE id = ANY ($1::bigint[])', [emptied])
  return next
}
