import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib'

/**
 * Compresses one thing after the other with zstd, each a frame of its own, all with one context: what each call of `zstdCompress` takes of
 * memory lies there until the next collection of garbage, and an agent that ships much would be as large as that.
 */
export interface Compressor {
  /** One at a time. */
  compress(parts: readonly Uint8Array[]): Promise<Buffer>
  close(): void
}

const CHUNK_BYTES = 64 * 1024
/** It looks back by 256 KiB (the power of two): by the usual 2 MiB it finds little more in lines of text, and takes some MB for it. */
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
        return await frameOf(stream, parts)
      } catch (error) {
        stream.destroy()
        stream = undefined
        throw error
      }
    },
    close: () => stream?.destroy(),
  }
}

async function frameOf(stream: ZstdCompress, parts: readonly Uint8Array[]): Promise<Buffer> {
  const packed: Buffer[] = []
  const onData = (part: Buffer) => void packed.push(part)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.on('data', onData)
  stream.once('error', reject)
  try {
    for (const part of parts) if (part.length > 0) stream.write(part)
    stream.flush(constants.ZSTD_e_end, resolve)
    await promise
    return Buffer.concat(packed)
  } finally {
    stream.off('data', onData)
    stream.off('error', reject)
  }
}
