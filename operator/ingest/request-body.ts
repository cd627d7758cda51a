import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { InvalidInput } from '../../core/errors.ts'
import { MAX_BATCH_BYTES } from '../../core/output/batch.ts'

/** The decompressed body of a request. A body that is larger than a batch may be is not read to its end. */

const decompress = { zstd: promisify(zstdDecompress), gzip: promisify(gunzip) } as const

/** Throws InvalidInput if the body is too large, or its encoding is unknown. */
export async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'zstd' && encoding !== 'gzip')
    throw new InvalidInput('content-encoding', `is ${encoding}; use zstd or gzip`)
  const compressed = await whole(request)
  if (encoding === 'identity') return compressed
  try {
    return await decompress[encoding](compressed, { maxOutputLength: MAX_BATCH_BYTES })
  } catch (error) {
    throw new InvalidInput('body', `is not valid ${encoding}, or larger than ${MAX_BATCH_BYTES} bytes`, {
      cause: error,
    })
  }
}

async function whole(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_BATCH_BYTES) throw new InvalidInput('body', `is larger than ${MAX_BATCH_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
