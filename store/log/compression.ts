import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Bytes as they are stored: compressed if that makes them smaller. */
export interface Packed {
  bytes: Uint8Array
  isCompressed: boolean
}

/** Less is not worth the trouble. */
const WORTH = 128

export function packed(bytes: Uint8Array): Packed {
  if (bytes.length >= WORTH) {
    const compressed = zstdCompressSync(bytes)
    if (compressed.length < bytes.length) return { bytes: compressed, isCompressed: true }
  }
  return { bytes, isCompressed: false }
}

export function unpacked({ bytes, isCompressed }: Packed): Uint8Array {
  return isCompressed ? zstdDecompressSync(bytes) : bytes
}
