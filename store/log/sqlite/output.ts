import type { DatabaseSync } from 'node:sqlite'
import { compressIfSmaller } from '../compression.ts'
import { countsOf, pieceIn, unstoredPart } from '../output-pieces.ts'
import type { AttemptRef, OutputHead, OutputPiece, OutputStore } from '../port.ts'
import { headIn } from '../result-rows.ts'

type OutputRange = Awaited<ReturnType<OutputStore['output']>>

/** The row of `outputs` that an attempt's pieces belong to. */
export interface Head {
  id: number
  stored: number
  ended: boolean
}

const FIND = 'SELECT id, stored, ended FROM outputs WHERE run = ? AND uid = ? AND attempt = ?'
const BEGIN = `
  INSERT INTO outputs (uid, run, attempt, namespace, name, pool, agent, began)
  VALUES (:uid, :run, :attempt, :namespace, :name, :pool, :agent, unixepoch() * 1000)`
const EXTEND = `
  UPDATE outputs SET stored = :next, bytes = bytes + :bytes, cut = cut + :cut, lost = lost + :lost,
  ended = max(ended, :ended), said = unixepoch() * 1000 WHERE id = :id`
const INSERT_PIECE =
  'INSERT INTO output_pieces (output, position, next, chunks, packed, lost) VALUES (?, ?, ?, ?, ?, ?)'
const COUNT_BYTES = "UPDATE facts SET value = value + ? WHERE key = 'outputBytes'"
/** A run and its parts on several targets. A part's id is the run's id, `.` and more; `/` follows `.` in ASCII and is in no id. */
const HEADS = `
  SELECT * FROM outputs WHERE (run = :run OR (run > :run || '.' AND run < :run || '/')) AND (:uid IS NULL OR uid = :uid)
  ORDER BY run, uid, attempt`
const PIECES =
  'SELECT position, next, chunks, packed, lost FROM output_pieces WHERE output = ? AND next > ? ORDER BY position'

/** Writes and reads attempts' output: one head for each attempt, and the pieces in the order in which they arrived. */
export class Outputs {
  readonly #find
  readonly #begin
  readonly #extend
  readonly #insertPiece
  readonly #countBytes
  readonly #heads
  readonly #pieces

  constructor(db: DatabaseSync) {
    this.#find = db.prepare(FIND)
    this.#begin = db.prepare(BEGIN)
    this.#extend = db.prepare(EXTEND)
    this.#insertPiece = db.prepare(INSERT_PIECE)
    this.#countBytes = db.prepare(COUNT_BYTES)
    this.#heads = db.prepare(HEADS)
    this.#pieces = db.prepare(PIECES)
  }

  /** Runs within the caller's transaction. Returns how far the attempt's output is stored now. */
  add(piece: OutputPiece): number {
    const head = this.head(piece) ?? this.#newHead(piece)
    const rest = unstoredPart(piece, head.stored)
    if (!rest) return head.stored
    const { chunks, lost = 0, next } = rest
    if (next > head.stored) {
      const { bytes, isCompressed } = compressIfSmaller(chunks)
      this.#insertPiece.run(head.id, head.stored, next, bytes, isCompressed ? 1 : 0, lost || null)
      this.#countBytes.run(bytes.length)
    }
    const { bytes, cut } = countsOf(chunks)
    this.#extend.run({ id: head.id, next, bytes, cut, lost, ended: piece.end ? 1 : 0 })
    return next
  }

  head({ run, uid, attempt }: AttemptRef): Head | undefined {
    const row = this.#find.get(run, uid, attempt)
    return row && { id: Number(row.id), stored: Number(row.stored), ended: row.ended === 1 }
  }

  heads({ run, uid }: { run: string; uid?: string }): OutputHead[] {
    return this.#heads.all({ run, uid: uid ?? null }).map(headIn)
  }

  read(of: AttemptRef, from: number, limit: number): OutputRange {
    const head = this.head(of)
    const found: OutputRange['pieces'] = []
    let next = from
    for (const row of head ? this.#pieces.iterate(head.id, from) : []) {
      const piece = pieceIn(row, next)
      found.push(piece)
      next = piece.next
      if (next - from >= limit) break
    }
    return { pieces: found, next, ended: head !== undefined && head.ended && next >= head.stored }
  }

  /** Whether `search` finds its text in the last `last` bytes of an attempt's output. `read`: how many bytes it was given. */
  has(
    of: AttemptRef,
    last: number,
    search: (chunks: Uint8Array) => boolean,
  ): { found: boolean; read: number } {
    const head = this.head(of)
    let read = 0
    for (const row of head ? this.#pieces.iterate(head.id, head.stored - last) : []) {
      const { chunks } = pieceIn(row, 0)
      read += chunks.length
      if (search(chunks)) return { found: true, read }
    }
    return { found: false, read }
  }

  #newHead({ uid, run, attempt, namespace, name, pool, agent }: OutputPiece): Head {
    const { lastInsertRowid } = this.#begin.run({ uid, run, attempt, namespace, name, pool, agent })
    return { id: Number(lastInsertRowid), stored: 0, ended: false }
  }
}
