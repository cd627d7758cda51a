import { compressIfSmaller } from '../compression.ts'
import { countsOf, pieceIn, unstoredPart } from '../output-pieces.ts'
import type { AttemptRef, OutputHead, OutputPiece, OutputStore } from '../port.ts'
import { attemptIn, headIn, number, type Row } from '../result-rows.ts'
import type { OutputContains } from '../text-search.ts'
import type { Execute } from './connection.ts'

/** How many pieces are read at once. Each is at most some hundred KiB. */
const READ_AT_ONCE = 16

/** When these attempts' first pieces arrived, and now, for attempts that have none. By the server's clock, ms since the epoch. */
export async function firstTimes(execute: Execute, pieces: readonly OutputPiece[]): Promise<number[]> {
  const { rows } = await execute(
    `SELECT (extract(epoch FROM now()) * 1000)::bigint AS at
     UNION SELECT o.at FROM outputs o JOIN json_to_recordset($1::json) AS w (uid text, run text, attempt bigint)
       ON o.run = w.run AND o.uid = w.uid AND o.attempt = w.attempt`,
    [JSON.stringify(pieces.map(({ uid, run, attempt }) => ({ uid, run, attempt })))],
  )
  return rows.map(({ at }) => Number(at))
}

/**
 * Creates the missing heads of these attempts, and locks all until the end of the transaction: if two operators store the same output, one
 * waits. Locked in the order of the key, so that there is no deadlock.
 */
export async function lockHeads(
  execute: Execute,
  pieces: readonly OutputPiece[],
): Promise<Map<string, Head>> {
  const attempts = new Map(pieces.map(piece => [keyOf(piece), piece]))
  const ordered = [...attempts.keys()].toSorted()
  const rows = ordered.map(key => {
    const { uid, run, attempt, namespace, name, pool, agent } = attempts.get(key) as OutputPiece
    return { uid, run, attempt, namespace, name, pool, agent }
  })
  await execute(
    `INSERT INTO outputs (uid, run, attempt, namespace, name, pool, agent)
     SELECT uid, run, attempt, namespace, name, pool, agent FROM json_populate_recordset(null::outputs, $1::json)
     ON CONFLICT (run, uid, attempt) DO NOTHING`,
    [JSON.stringify(rows)],
  )
  const heads = new Map<string, Head>()
  const locked = await execute(
    `SELECT o.id, o.at, o.stored, o.uid, o.run, o.attempt FROM outputs o
     JOIN json_to_recordset($1::json) AS w (uid text, run text, attempt bigint)
       ON o.run = w.run AND o.uid = w.uid AND o.attempt = w.attempt
     ORDER BY o.run, o.uid, o.attempt FOR UPDATE OF o`,
    [JSON.stringify(rows)],
  )
  for (const row of locked.rows) {
    const { uid, run, attempt } = headIn(row)
    heads.set(keyOf({ uid, run, attempt }), {
      id: Number(row.id),
      at: Number(row.at),
      stored: Number(row.stored),
    })
  }
  return heads
}

export interface Head {
  id: number
  at: number
  stored: number
}

/** Runs within the transaction that locked the heads. The partitions of their days must exist. */
export async function addPiece(
  execute: Execute,
  piece: OutputPiece,
  heads: Map<string, Head>,
): Promise<number> {
  const head = heads.get(keyOf(piece))
  if (!head) throw new TypeError(`lockHeads did not lock the head of ${keyOf(piece)}`)
  const rest = unstoredPart(piece, head.stored)
  if (!rest) return head.stored
  const { chunks, lost = 0, next } = rest
  let kept = 0
  if (next > head.stored) {
    const { bytes, isCompressed } = compressIfSmaller(chunks)
    kept = bytes.length
    await execute(
      'INSERT INTO output_pieces (at, output, position, next, chunks, packed, lost) VALUES ($1, $2, $3, $4, $5, $6, $7)',
      [head.at, head.id, head.stored, next, Buffer.from(bytes), isCompressed ? 1 : 0, lost || null],
    )
  }
  const { bytes, cut } = countsOf(chunks)
  await execute(
    `UPDATE outputs SET stored = $2, bytes = bytes + $3, cut = cut + $4, lost = lost + $5, ended = greatest(ended, $6),
     kept = kept + $7, said = extract(epoch FROM now()) * 1000 WHERE id = $1`,
    [head.id, next, bytes, cut, lost, piece.end ? 1 : 0, kept],
  )
  head.stored = next
  return next
}

export async function headsOf(
  execute: Execute,
  { run, uid }: { run: string; uid?: string },
): Promise<OutputHead[]> {
  // A run and its parts on several targets. A part's id is the run's id, `.` and more; `/` follows `.` in ASCII and is in no id.
  const { rows } = await execute(
    `SELECT * FROM outputs WHERE (run = $1 OR (run > $1 || '.' AND run < $1 || '/')) AND ($2::text IS NULL OR uid = $2)
     ORDER BY run, uid, attempt`,
    [run, uid ?? null],
  )
  return rows.map(headIn)
}

export async function readOutput(
  execute: Execute,
  { uid, run, attempt }: AttemptRef,
  { from, limit }: { from: number; limit: number },
): ReturnType<OutputStore['output']> {
  const found = await execute(
    'SELECT id, at, stored, ended FROM outputs WHERE run = $1 AND uid = $2 AND attempt = $3',
    [run, uid, attempt],
  )
  const head: Row | undefined = found.rows[0]
  if (!head) return { pieces: [], next: from, ended: false }
  const { pieces, next } = await readFrom(execute, { ...head, from, limit })
  return { pieces, next, ended: head.ended === 1 && next >= (number(head.stored) ?? 0) }
}

/** If `from` is within a piece it must be the start of a chunk, unless pieces are read `whole`. Before the first piece is allowed. */
async function readFrom(
  execute: Execute,
  { id, at, from, limit, whole = false }: Row & { from: number; limit: number; whole?: boolean },
): Promise<Pick<Awaited<ReturnType<OutputStore['output']>>, 'pieces' | 'next'>> {
  const pieces: Awaited<ReturnType<OutputStore['output']>>['pieces'] = []
  let next = from
  for (let more = true; more && next - from < limit; ) {
    const { rows } = await execute(
      `SELECT position, next, chunks, packed, lost FROM output_pieces WHERE output = $1 AND at = $2 AND next > $3
       ORDER BY position LIMIT ${READ_AT_ONCE}`,
      [id, at, next],
    )
    more = rows.length === READ_AT_ONCE
    for (const row of rows) {
      if (next - from >= limit) break
      const piece = pieceIn(row, whole ? 0 : next)
      pieces.push(piece)
      next = piece.next
    }
  }
  return { pieces, next }
}

/** Output up to this size is read for all rows of a page together. Bytes of the spool. */
const SMALL_BYTES = 32_768

/** Searches the output of these rows. Most attempts write little: their output is fetched together. */
export async function outputsOf(execute: Execute, rows: readonly Row[]): Promise<OutputContains> {
  const heads = await execute(
    `SELECT o.id, o.at, o.stored, o.uid, o.run, o.attempt FROM outputs o
     JOIN json_to_recordset($1::json) AS w (uid text, run text, attempt bigint)
       ON o.run = w.run AND o.uid = w.uid AND o.attempt = w.attempt WHERE o.kept > 0`,
    [JSON.stringify(rows.map(attemptIn))],
  )
  const known = new Map(heads.rows.map(row => [keyOf(attemptIn(row)), row]))
  const small = heads.rows.filter(row => Number(row.stored) <= SMALL_BYTES)
  const times = small.map(({ at }) => Number(at))
  const pieces = small.length
    ? await execute(
        `SELECT p.output, p.position, p.next, p.chunks, p.packed, p.lost FROM output_pieces p
         JOIN json_to_recordset($1::json) AS h (id bigint, at bigint) ON p.output = h.id AND p.at = h.at
         WHERE p.at BETWEEN $2 AND $3 ORDER BY p.output, p.position`,
        [JSON.stringify(small.map(({ id, at }) => ({ id, at }))), Math.min(...times), Math.max(...times)],
      )
    : { rows: [] }
  const fetched = Map.groupBy(pieces.rows, row => Number(row.output))
  return async (of, last, search) => {
    const head = known.get(keyOf(of))
    let read = 0
    if (!head) return { found: false, read }
    const stored = number(head.stored) ?? 0
    const found =
      stored <= SMALL_BYTES
        ? (fetched.get(Number(head.id)) ?? []).map(row => pieceIn(row, 0))
        : (await readFrom(execute, { ...head, from: stored - last, limit: last, whole: true })).pieces
    for (const { chunks } of found) {
      read += chunks.length
      if (search(chunks)) return { found: true, read }
    }
    return { found: false, read }
  }
}

function keyOf({ run, uid, attempt }: AttemptRef): string {
  return `${run} ${uid} ${attempt}`
}
