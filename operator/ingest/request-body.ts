import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { InvalidInput } from '../../core/errors.ts'
import { MAX_BATCH_BYTES } from '../../core/output/batch.ts'
import type { Clock } from '../../platform/clock.ts'
import { tooSlow } from '../server/progress.ts'
import type { BodyBudget } from './body-budget.ts'

/** The body of a request. A body that is larger than a batch may be is not read to its end. */
export interface Body {
  /** Throws InvalidInput if it is not what its encoding says, or decompresses to more than a batch. */
  decompressed(): Promise<Uint8Array>
  /** Call it when the body is not needed any more. */
  close(): void
}

type Encoding = keyof typeof decompress | 'identity'

const decompress = { zstd: promisify(zstdDecompress), gzip: promisify(gunzip) } as const

/** Resolves when all of it has arrived. Throws InvalidInput if it is too large, or its encoding is unknown; Unavailable if it is too slow. */
export async function bodyOf(
  request: IncomingMessage,
  { clock, budget }: { clock: Clock; budget: BodyBudget },
): Promise<Body> {
  const encoding = encodingOf(request)
  const over = new AbortController()
  const dropped = Promise.withResolvers<never>()
  const account = budget.open(dropped.reject)
  const slow = tooSlow(request, clock, over.signal)
  for (const lost of [slow, dropped.promise]) lost.catch(() => undefined)
  try {
    const whole = await Promise.race([read(request, bytes => account.add(bytes)), slow, dropped.promise])
    account.whole()
    return { decompressed: () => decompressed(whole, encoding), close: account.close }
  } catch (error) {
    account.close()
    throw error
  } finally {
    over.abort()
  }
}

function encodingOf({ headers }: IncomingMessage): Encoding {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity' || encoding === 'zstd' || encoding === 'gzip') return encoding
  throw new InvalidInput('content-encoding', `is ${encoding}; use zstd or gzip`)
}

async function read(request: IncomingMessage, onPart: (bytes: number) => void): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > MAX_BATCH_BYTES) throw new InvalidInput('body', `is larger than ${MAX_BATCH_BYTES} bytes`)
    onPart(part.length)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function decompressed(body: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
  if (encoding === 'identity') return body
  try {
    return await decompress[encoding](body, { maxOutputLength: MAX_BATCH_BYTES })
  } catch (error) {
    throw new InvalidInput('body', `is not valid ${encoding}, or larger than ${MAX_BATCH_BYTES} bytes`, {
      cause: error,
    })
  }
}
