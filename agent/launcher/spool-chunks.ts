import { z } from 'zod'
import type { OutputChunk } from './launcher.ts'

const HEADER_BYTES = 13

const cutMark = z.object({ stdout: z.number(), stderr: z.number() })

/** The chunks of spool bytes, whose layout launcher/protocol.md gives. Kinds that are not known are skipped. */
export function chunksOf(bytes: Buffer): OutputChunk[] {
  const chunks: OutputChunk[] = []
  for (let from = 0; from + HEADER_BYTES <= bytes.length; ) {
    const to = from + HEADER_BYTES + bytes.readUInt32BE(from + 9)
    const chunk = chunkOf(bytes.readUInt8(from), bytes.subarray(from + HEADER_BYTES, to))
    if (chunk) chunks.push({ ...chunk, at: Number(bytes.readBigUInt64BE(from + 1)) } as OutputChunk)
    from = to
  }
  return chunks
}

function chunkOf(kind: number, data: Buffer) {
  if (kind === 1) return { stream: 'stdout', data } as const
  if (kind === 2) return { stream: 'stderr', data } as const
  if (kind === 3) return { stream: 'cut', ...cutMark.parse(JSON.parse(data.toString())) } as const
  return undefined
}
