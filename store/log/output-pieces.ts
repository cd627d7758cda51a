import { chunksOf, wholeChunks } from '../../core/output/chunks.ts'
import { unpacked } from './compression.ts'
import type { OutputPiece, OutputStore } from './port.ts'
import { given, number, type Row } from './result-rows.ts'

/** Pieces of output, between the port and a table with `position`, `next`, `chunks`, `packed`, `lost`. */

/** What of it lies beyond what is stored; undefined: there is a gap, or no border of a chunk where it would have to be cut. */
export function beyond(
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

/** What lies from position `from` on, which is the border of a chunk. */
export function pieceIn(row: Row, from: number): Piece {
  const offset = number(row.position) ?? 0
  const next = number(row.next) ?? 0
  const lost = number(row.lost)
  const bytes = row.chunks instanceof Uint8Array ? row.chunks : new Uint8Array()
  const chunks = unpacked({ bytes, isCompressed: row.packed === 1 })
  const skip = Math.max(0, from - offset)
  return { offset: offset + skip, next, chunks: chunks.subarray(skip), ...given('lost', lost) }
}

/** Bytes of stdout and stderr, and those that the launcher cut. */
export function countsOf(chunks: Uint8Array): { bytes: number; cut: number } {
  const counts = { bytes: 0, cut: 0 }
  for (const chunk of chunksOf(chunks)) {
    if (chunk.stream === 'cut') counts.cut += chunk.stdout + chunk.stderr
    else if (chunk.stream === 'stdout' || chunk.stream === 'stderr') counts.bytes += chunk.data.length
  }
  return counts
}
