/**
 * A spool file is a row of chunks:
 *
 *     kind: 1 byte | time: 8 bytes, Unix ms | length: 4 bytes | data          (integers unsigned, big-endian)
 *
 * kind 1 is stdout, 2 stderr. Kind 3 stands last, if output was cut: its data is JSON, `{"stdout": bytes, "stderr": bytes, "tail": text}`.
 * A kind that a reader does not know is skipped. What a crash left of a last chunk is no chunk.
 */
export const HEADER_BYTES = 13
export const KIND = { stdout: 1, stderr: 2, cut: 3 } as const

export type Stream = 'stdout' | 'stderr'

export function chunkHeader(kind: number, at: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt8(kind, 0)
  header.writeBigUInt64BE(BigInt(Math.max(Math.floor(at), 0)), 1)
  header.writeUInt32BE(length, 9)
  return header
}

export interface ChunkPlace {
  kind: number
  from: number
  to: number
}

/** The whole chunks in `bytes`, which begin at a chunk. */
export function* chunksIn(bytes: Buffer): Generator<ChunkPlace> {
  for (let from = 0; from + HEADER_BYTES <= bytes.length; ) {
    const to = from + HEADER_BYTES + bytes.readUInt32BE(from + 9)
    if (to > bytes.length) return
    yield { kind: bytes.readUInt8(from), from, to }
    from = to
  }
}
