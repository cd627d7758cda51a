import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib'

/**
 * Compresses with zstd, one frame for each call. All calls share one context: the memory of a context that `zstdCompress` creates stays
 * until the next garbage collection, which would make a busy agent large.
 */
export interface Compressor {
  /** Calls must not overlap. */
  compress(parts: readonly Uint8Array[]): Promise<Buffer>
  close(): void
}

const CHUNK_BYTES = 64 * 1024
/** A window of 2^18 bytes (256 KiB). The default of 2 MiB takes some MB and compresses lines of text only a little better. */
const WINDOW_LOG = 18

export function createCompressor(): Compressor {
  let stream: ZstdCompress | undefined
  return {
    async compress(parts) {
      stream ??= createZstdCompress({
        chunkSize: CHUNK_BYTES,
        params: { [constants.ZSTD_c_windowLog]: WINDOW_LOG },
      })
      try {
        return await compressFrame(stream, parts)
      } catch (error) {
        stream.destroy()
        stream = undefined
        throw error
      }
    },
    close: () => stream?.destroy(),
  }
}

async function compressFrame(stream: ZstdCompress, parts: readonly Uint8Array[]): Promise<Buffer> {
  const compressed: Buffer[] = []
  const onData = (part: Buffer) => void compressed.push(part)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.on('data', onData)
  stream.once('error', reject)
  try {
    for (const part of parts) if (part.length > 0) stream.write(part)
    stream.flush(constants.ZSTD_e_end, resolve)
    await promise
    return Buffer.concat(compressed)
  } finally {
    stream.off('data', onData)
    stream.off('error', reject)
  }
}
