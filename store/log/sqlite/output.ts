import type { DatabaseSync } from 'node:sqlite'
import { chunksOf, wholeChunks } from '../../../core/output/chunks.ts'
import { packed, unpacked } from '../packing.ts'
import type { AttemptRef, OutputHead, OutputPiece, OutputStore } from '../port.ts'
import { given, number, type Row, text } from './rows.ts'

/** Output of attempts: a head each, and the pieces of which it came. */
export interface Outputs {
  /** Within a transaction of the caller's. */
  add(piece: OutputPiece): number
  heads(of: { run: string; uid?: string }): OutputHead[]
  read(of: AttemptRef, from: number, limit: number): Awaited<ReturnType<OutputStore['output']>>
  /** Does what is found answer yes to this, in its last so many bytes? */
  has(of: AttemptRef, last: number, search: (chunks: Uint8Array) => boolean): { found: boolean; read: number }
  /** Takes away an attempt's output, with its head. */
  remove(of: AttemptRef): void
  /** Of all that is stored. */
  totalBytes(): number
  /** Takes away some of the oldest that has ended, but for its head, which says so. Answers how many bytes that were; 0: there is none. */
  expire(): number
}

/** A piece is a megabyte at most, mostly much less. */
const PIECES_AT_ONCE = 32

interface Head {
  id: number
  stored: number
  ended: boolean
}

export function createOutputs(db: DatabaseSync): Outputs {
  const find = db.prepare('SELECT id, stored, ended FROM outputs WHERE run = ? AND uid = ? AND attempt = ?')
  const begin = db.prepare(
    `INSERT INTO outputs (uid, run, attempt, namespace, name, pool, agent)
     VALUES (:uid, :run, :attempt, :namespace, :name, :pool, :agent)`,
  )
  const extend = db.prepare(
    `UPDATE outputs SET stored = :next, bytes = bytes + :bytes, cut = cut + :cut, lost = lost + :lost,
     ended = max(ended, :ended) WHERE id = :id`,
  )
  const insert = db.prepare(
    'INSERT INTO output_pieces (output, position, next, chunks, packed, lost) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const count = db.prepare("UPDATE facts SET value = value + ? WHERE key = 'outputBytes'")
  const total = db.prepare("SELECT value FROM facts WHERE key = 'outputBytes'")
  const behead = db.prepare('DELETE FROM outputs WHERE id = ?')
  const oldest = db.prepare(
    `SELECT p.output FROM output_pieces p INDEXED BY output_pieces_output JOIN outputs o ON o.id = p.output
     WHERE o.ended = 1 ORDER BY p.output LIMIT 1`,
  )
  const expired = db.prepare('UPDATE outputs SET expired = 1 WHERE id = ?')
  const take = db.prepare(
    `DELETE FROM output_pieces WHERE id IN
     (SELECT id FROM output_pieces WHERE output = ? ORDER BY position LIMIT ?) RETURNING length(chunks) AS bytes`,
  )
  // A run and its parts on several targets: `.` is followed by `/`, which is in no id.
  const named = db.prepare(
    `SELECT * FROM outputs WHERE (run = :run OR (run > :run || '.' AND run < :run || '/')) AND (:uid IS NULL OR uid = :uid)
     ORDER BY run, uid, attempt`,
  )
  const pieces = db.prepare(
    'SELECT position, next, chunks, packed, lost FROM output_pieces WHERE output = ? AND next > ? ORDER BY position',
  )
  const headOf = ({ run, uid, attempt }: AttemptRef): Head | undefined => {
    const row = find.get(run, uid, attempt)
    return row && { id: Number(row.id), stored: Number(row.stored), ended: row.ended === 1 }
  }
  const begun = (piece: OutputPiece): Head => {
    const { uid, run, attempt, namespace, name, pool, agent } = piece
    const { lastInsertRowid } = begin.run({ uid, run, attempt, namespace, name, pool, agent })
    return { id: Number(lastInsertRowid), stored: 0, ended: false }
  }

  const removeSome = (id: number, most: number): { bytes: number; pieces: number } => {
    const gone = take.all(id, most)
    const bytes = gone.reduce((sum, row) => sum + (number(row.bytes) ?? 0), 0)
    count.run(-bytes)
    return { bytes, pieces: gone.length }
  }

  return {
    add(piece) {
      const head = headOf(piece) ?? begun(piece)
      const rest = beyond(piece, head.stored)
      if (!rest) return head.stored
      const { chunks, lost = 0, next } = rest
      if (next > head.stored) {
        const { bytes, isCompressed } = packed(chunks)
        insert.run(head.id, head.stored, next, bytes, isCompressed ? 1 : 0, lost || null)
        count.run(bytes.length)
      }
      const { bytes, cut } = countsOf(chunks)
      extend.run({ id: head.id, next, bytes, cut, lost, ended: piece.end ? 1 : 0 })
      return next
    },
    heads: ({ run, uid }) => named.all({ run, uid: uid ?? null }).map(shown),
    read(of, from, limit) {
      const head = headOf(of)
      const found: Awaited<ReturnType<OutputStore['output']>>['pieces'] = []
      let next = from
      for (const row of head ? pieces.iterate(head.id, from) : []) {
        const piece = pieceOf(row, next)
        found.push(piece)
        next = piece.next
        if (next - from >= limit) break
      }
      return { pieces: found, next, ended: head !== undefined && head.ended && next >= head.stored }
    },
    has(of, last, search) {
      const head = headOf(of)
      let read = 0
      for (const row of head ? pieces.iterate(head.id, head.stored - last) : []) {
        const { chunks } = pieceOf(row, 0)
        read += chunks.length
        if (search(chunks)) return { found: true, read }
      }
      return { found: false, read }
    },
    remove(of) {
      const head = headOf(of)
      if (!head) return
      removeSome(head.id, -1)
      behead.run(head.id)
    },
    totalBytes: () => number(total.get()?.value) ?? 0,
    expire() {
      const id = number(oldest.get()?.output)
      if (id === undefined) return 0
      expired.run(id)
      const { bytes, pieces } = removeSome(id, PIECES_AT_ONCE)
      return Math.max(bytes, pieces)
    },
  }
}

/** What of it lies beyond what is stored; undefined: there is a gap, or no border of a chunk where it would have to be cut. */
function beyond(
  { offset, next, chunks, lost }: OutputPiece,
  stored: number,
): { chunks: Uint8Array; next: number; lost?: number } | undefined {
  if (offset > stored) return undefined
  if (next <= stored) return { chunks: new Uint8Array(), next: stored }
  if (lost !== undefined)
    return { chunks: new Uint8Array(), next, lost: Math.max(0, lost - (stored - offset)) }
  const skip = stored - offset
  return wholeChunks(chunks.subarray(0, skip)) === skip ? { chunks: chunks.subarray(skip), next } : undefined
}

function pieceOf(
  row: Row,
  from: number,
): { offset: number; next: number; chunks: Uint8Array; lost?: number } {
  const offset = number(row.position) ?? 0
  const next = number(row.next) ?? 0
  const lost = number(row.lost)
  const bytes = row.chunks instanceof Uint8Array ? row.chunks : new Uint8Array()
  const chunks = unpacked({ bytes, isCompressed: row.packed === 1 })
  const skip = Math.max(0, from - offset)
  return { offset: offset + skip, next, chunks: chunks.subarray(skip), ...given('lost', lost) }
}

function countsOf(chunks: Uint8Array): { bytes: number; cut: number } {
  const counts = { bytes: 0, cut: 0 }
  for (const chunk of chunksOf(chunks)) {
    if (chunk.stream === 'cut') counts.cut += chunk.stdout + chunk.stderr
    else if (chunk.stream === 'stdout' || chunk.stream === 'stderr') counts.bytes += chunk.data.length
  }
  return counts
}

function shown(row: Row): OutputHead {
  return {
    uid: text(row.uid) ?? '',
    run: text(row.run) ?? '',
    attempt: number(row.attempt) ?? 0,
    namespace: text(row.namespace) ?? '',
    name: text(row.name) ?? '',
    agent: text(row.agent) ?? '',
    stored: number(row.stored) ?? 0,
    bytes: number(row.bytes) ?? 0,
    cut: number(row.cut) ?? 0,
    lost: number(row.lost) ?? 0,
    ended: row.ended === 1,
    ...(row.expired === 1 ? { expired: true } : {}),
  }
}
