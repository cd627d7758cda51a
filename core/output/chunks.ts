import { z } from 'zod'

/**
 * Output as it lies in a spool, travels and is stored: chunks, one after the other, as launcher/protocol.md lays them out. What is cut off
 * at a chunk's border is again such a sequence.
 */

/** A piece of output as it came: `at` is Unix ms. `cut` stands last and says how many bytes were not kept. */
export type OutputChunk =
  | { stream: 'stdout' | 'stderr'; at: number; data: Uint8Array }
  | { stream: 'cut'; at: number; stdout: number; stderr: number }

const HEADER_BYTES = 13

const cutMark = z.object({ stdout: z.number(), stderr: z.number() })

/** The chunks that lie whole in `bytes`. Kinds that are not known are skipped. `data` is a view of `bytes`, no copy. */
export function chunksOf(bytes: Uint8Array): OutputChunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: OutputChunk[] = []
  for (let from = 0; from + HEADER_BYTES <= bytes.length; ) {
    const to = from + HEADER_BYTES + view.getUint32(from + 9)
    if (to > bytes.length) break
    const chunk = chunkOf(view.getUint8(from), bytes.subarray(from + HEADER_BYTES, to))
    if (chunk) chunks.push({ ...chunk, at: Number(view.getBigUint64(from + 1)) } as OutputChunk)
    from = to
  }
  return chunks
}

function chunkOf(kind: number, data: Uint8Array) {
  if (kind === 1) return { stream: 'stdout', data } as const
  if (kind === 2) return { stream: 'stderr', data } as const
  if (kind === 3)
    return { stream: 'cut', ...cutMark.parse(JSON.parse(new TextDecoder().decode(data))) } as const
  return undefined
}
