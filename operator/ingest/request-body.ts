import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { InvalidInput } from '../../core/errors.ts'
import { MAX_BATCH_BYTES } from '../../core/output/batch.ts'

/** What a request holds, unpacked; more than a batch may be is not read to its end. */

const unpack = { zstd: promisify(zstdDecompress), gzip: promisify(gunzip) } as const

/** Throws InvalidInput for what is too long, or packed in a way that is not known. */
export async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'zstd' && encoding !== 'gzip')
    throw new InvalidInput('content-encoding', `must be zstd or gzip, not ${encoding}`)
  const packed = await whole(request)
  if (encoding === 'identity') return packed
  try {
    return await unpack[encoding](packed, { maxOutputLength: MAX_BATCH_BYTES })
  } catch (error) {
    throw new InvalidInput('body', `is no ${encoding} of at most ${MAX_BATCH_BYTES} bytes`, { cause: error })
  }
}

async function whole(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_BATCH_BYTES) throw new InvalidInput('body', `is longer than ${MAX_BATCH_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
