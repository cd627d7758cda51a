import { attemptIn, number, type Row } from '../result-rows.ts'
import type { Budget } from '../retention-budget.ts'
import type { Execute } from './connection.ts'
import { ranBy } from './results.ts'

/** Output that goes: some of it in each transaction, so that no statement takes long, however much an attempt wrote. */

/** In one transaction. */
const HEADS_AT_ONCE = 500
const AT_ONCE: Readonly<Budget> = { pieces: 2_000, bytes: 32 * 1_024 * 1_024 }

/** Ids of heads that have no pieces left. `next`: of the first one that has, which says that it has expired. */
export interface Bare {
  bare: number[]
  next: number | undefined
}

/** Pieces of these heads (`id`, `at`), in their order, as many as one transaction may take. */
export async function removePieces(execute: Execute, heads: readonly Row[]): Promise<Bare> {
  const ids = heads.map(({ id }) => Number(id))
  if (ids.length === 0) return { bare: [], next: undefined }
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
  // They go in the order of the heads: the last one that was touched may have more.
  const last = isAll ? ids.length : rows.reduce((most, { n }) => Math.max(most, Number(n)), 0)
  const next = ids[last]
  if (next !== undefined) {
    const taken = rows.reduce((sum, row) => sum + (Number(row.n) === last ? Number(row.bytes) : 0), 0)
    await execute('UPDATE outputs SET expired = 1, kept = greatest(kept - $2, 0) WHERE id = $1', [
      next,
      taken,
    ])
  }
  return { bare: ids.slice(0, last), next }
}

/** Some of the oldest output that has ended, down to the size. Answers whether there may be more. */
export async function expire(execute: Execute, most: number): Promise<boolean> {
  const { rows } = await execute('SELECT coalesce(sum(kept), 0)::bigint AS bytes FROM outputs WHERE kept > 0')
  let over = Number(rows[0]?.bytes) - most
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
  const { bare, next } = await removePieces(execute, going)
  await execute('UPDATE outputs SET expired = 1, kept = 0 WHERE id = ANY ($1::bigint[])', [bare])
  return over > 0 || next !== undefined
}

/**
 * Output without a result, of which nothing has come since `after`: some of what lies behind head `from`, the oldest first. Answers where
 * to go on; undefined: at the beginning, there is no more of it.
 */
export async function pruneOrphans(
  execute: Execute,
  { after, from }: { after: number; from: number },
): Promise<number | undefined> {
  const { rows } = await execute(
    `SELECT id, at, uid, run, attempt FROM outputs WHERE id > $1 ORDER BY id LIMIT ${HEADS_AT_ONCE}`,
    [from],
  )
  // Heads lie in the order in which they began.
  const young = rows.findIndex(({ at }) => Number(at) >= after)
  const old = young < 0 ? rows : rows.slice(0, young)
  const next = await removeOrphans(execute, old, after)
  if (next !== undefined) return next - 1
  return old.length === HEADS_AT_ONCE ? number(old.at(-1)?.id) : undefined
}

/** Answers the first head of which there is more. */
async function removeOrphans(
  execute: Execute,
  heads: readonly Row[],
  after: number,
): Promise<number | undefined> {
  const runners = await ranBy(execute, heads.map(attemptIn))
  // Who is brought something of it just now is no orphan yet.
  const orphans = await execute(
    'SELECT id, at FROM outputs WHERE id = ANY ($1::bigint[]) AND said < $2 ORDER BY id FOR UPDATE SKIP LOCKED',
    [heads.filter((_, index) => !runners[index]).map(({ id }) => id), after],
  )
  const { bare, next } = await removePieces(execute, orphans.rows)
  if (bare.length > 0) await execute('DELETE FROM outputs WHERE id = ANY ($1::bigint[])', [bare])
  return next
}
