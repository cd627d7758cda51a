import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Bytes as they are stored: compressed if that makes them smaller. */
export interface Packed {
  bytes: Uint8Array
  isCompressed: boolean
}

/** Fewer bytes are stored as they are: compression would hardly make them smaller. */
const SMALLEST = 128

export function packed(bytes: Uint8Array): Packed {
  if (bytes.length >= SMALLEST) {
    const compressed = zstdCompressSync(bytes)
    if (compressed.length < bytes.length) return { bytes: compressed, isCompressed: true }
  }
  return { bytes, isCompressed: false }
}

export function unpacked({ bytes, isCompressed }: Packed): Uint8Array {
  return isCompressed ? zstdDecompressSync(bytes) : bytes
}
