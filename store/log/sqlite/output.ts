import type { DatabaseSync } from 'node:sqlite'
import { packed } from '../compression.ts'
import { beyond, countsOf, pieceIn } from '../output-pieces.ts'
import type { AttemptRef, OutputHead, OutputPiece, OutputStore } from '../port.ts'
import { headIn, number } from '../result-rows.ts'
import { type Budget, isSpent } from '../retention-budget.ts'
import { attemptIn } from '../text-search-page.ts'

/** Output of attempts: a head each, and the pieces of which it came. */
export interface Outputs {
  /** Within a transaction of the caller's. */
  add(piece: OutputPiece): number
  heads(of: { run: string; uid?: string }): OutputHead[]
  read(of: AttemptRef, from: number, limit: number): Awaited<ReturnType<OutputStore['output']>>
  /** Does what is found answer yes to this, in its last so many bytes? */
  has(of: AttemptRef, last: number, search: (chunks: Uint8Array) => boolean): { found: boolean; read: number }
  /** Takes away an attempt's output, and at last its head. False: the budget was spent before; it says that it has expired until then. */
  remove(of: AttemptRef, budget: Budget): boolean
  /** In the order in which they began. Times are ms since the epoch: of its first piece and of its last. */
  headsAfter(id: number, limit: number): (AttemptRef & { id: number; began: number; said: number })[]
  /** Of all that is stored. */
  totalBytes(): number
  /** Takes away some of the oldest that has ended, but for its head, which says so. False: there is none. */
  expire(budget: Budget): boolean
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
    `INSERT INTO outputs (uid, run, attempt, namespace, name, pool, agent, began)
     VALUES (:uid, :run, :attempt, :namespace, :name, :pool, :agent, unixepoch() * 1000)`,
  )
  const extend = db.prepare(
    `UPDATE outputs SET stored = :next, bytes = bytes + :bytes, cut = cut + :cut, lost = lost + :lost,
     ended = max(ended, :ended), said = unixepoch() * 1000 WHERE id = :id`,
  )
  const insert = db.prepare(
    'INSERT INTO output_pieces (output, position, next, chunks, packed, lost) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const count = db.prepare("UPDATE facts SET value = value + ? WHERE key = 'outputBytes'")
  const total = db.prepare("SELECT value FROM facts WHERE key = 'outputBytes'")
  const after = db.prepare(
    'SELECT id, uid, run, attempt, began, said FROM outputs WHERE id > ? ORDER BY id LIMIT ?',
  )
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

  /** Answers how many pieces went. */
  const removeSome = (id: number, budget: Budget): number => {
    const gone = take.all(id, PIECES_AT_ONCE)
    const bytes = gone.reduce((sum, row) => sum + (number(row.bytes) ?? 0), 0)
    count.run(-bytes)
    budget.bytes -= bytes
    budget.pieces -= Math.max(gone.length, 1)
    return gone.length
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
    heads: ({ run, uid }) => named.all({ run, uid: uid ?? null }).map(headIn),
    read(of, from, limit) {
      const head = headOf(of)
      const found: Awaited<ReturnType<OutputStore['output']>>['pieces'] = []
      let next = from
      for (const row of head ? pieces.iterate(head.id, from) : []) {
        const piece = pieceIn(row, next)
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
        const { chunks } = pieceIn(row, 0)
        read += chunks.length
        if (search(chunks)) return { found: true, read }
      }
      return { found: false, read }
    },
    remove(of, budget) {
      const head = headOf(of)
      if (!head) return true
      for (let isMore = true; isMore; ) {
        if (isSpent(budget)) {
          expired.run(head.id)
          return false
        }
        isMore = removeSome(head.id, budget) === PIECES_AT_ONCE
      }
      behead.run(head.id)
      return true
    },
    headsAfter: (id, limit) =>
      after.all(id, limit).map(row => ({
        ...attemptIn(row),
        id: Number(row.id),
        began: Number(row.began),
        said: Number(row.said),
      })),
    totalBytes: () => number(total.get()?.value) ?? 0,
    expire(budget) {
      const id = number(oldest.get()?.output)
      if (id === undefined) return false
      expired.run(id)
      removeSome(id, budget)
      return true
    },
  }
}
