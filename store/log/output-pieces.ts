import { chunksOf, wholeChunks } from '../../core/output/chunks.ts'
import { decompress } from './compression.ts'
import type { OutputPiece, OutputStore } from './port.ts'
import { number, optional, type Row } from './result-rows.ts'

/** Converts pieces of output between the port and a table with the columns `position`, `next`, `chunks`, `packed` and `lost`. */

/** The part of a piece that is not stored yet. undefined: there is a gap before it, or it would have to be cut within a chunk. */
export function unstoredPart(
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

type Piece = Awaited<ReturnType<OutputStore['output']>>['pieces'][number]

/** The piece of a row, from position `from` on, which must be the start of a chunk. */
export function pieceIn(row: Row, from: number): Piece {
  const offset = number(row.position) ?? 0
  const next = number(row.next) ?? 0
  const lost = number(row.lost)
  const bytes = row.chunks instanceof Uint8Array ? row.chunks : new Uint8Array()
  const chunks = decompress({ bytes, isCompressed: row.packed === 1 })
  const skip = Math.max(0, from - offset)
  return { offset: offset + skip, next, chunks: chunks.subarray(skip), ...optional('lost', lost) }
}

/** `bytes`: of stdout and stderr. `cut`: those that the launcher dropped. */
export function countsOf(chunks: Uint8Array): { bytes: number; cut: number } {
  const counts = { bytes: 0, cut: 0 }
  for (const chunk of chunksOf(chunks)) {
    if (chunk.stream === 'cut') counts.cut += chunk.stdout + chunk.stderr
    else if (chunk.stream === 'stdout' || chunk.stream === 'stderr') counts.bytes += chunk.data.length
  }
  return counts
}
