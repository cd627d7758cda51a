import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Bytes as they are stored: compressed if that makes them smaller. */
export interface Stored {
  bytes: Uint8Array
  isCompressed: boolean
}

/** Fewer bytes are stored as they are: compression would hardly make them smaller. */
const SMALLEST = 128

export function compressIfSmaller(bytes: Uint8Array): Stored {
  if (bytes.length >= SMALLEST) {
    const compressed = zstdCompressSync(bytes)
    if (compressed.length < bytes.length) return { bytes: compressed, isCompressed: true }
  }
  return { bytes, isCompressed: false }
}

export function decompress({ bytes, isCompressed }: Stored): Uint8Array {
  return isCompressed ? zstdDecompressSync(bytes) : bytes
}
