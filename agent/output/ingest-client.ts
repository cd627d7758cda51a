import type { IncomingHttpHeaders } from 'node:http'
import { Agent as Connections, request } from 'node:https'
import { type BatchPiece, decodeAnswer, encodeBatch, type PieceAnswer } from '../../core/output/batch.ts'
import { deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { socketPath } from '../../platform/unix-socket.ts'
import { createCompressor } from './compressor.ts'

/** Sends batches to the operator's ingest, over mutual TLS with certificates of the operator's authority. */
export interface IngestClient {
  /** Calls must not overlap. Rejects only when the signal aborts. */
  send(pieces: readonly BatchPiece[], signal: AbortSignal): Promise<SendResult>
  /** Uses a renewed certificate. */
  useTls(tls: IngestClientOptions['tls']): void
  close(): void
}

export type SendResult =
  | { kind: 'answered'; answers: PieceAnswer[] }
  /** The piece at `index` is invalid and always will be. Nothing of the batch was stored. */
  | { kind: 'malformed'; index: number; why: string }
  /** The batch may or may not be stored. `isRejected`: the operator answered with a client error (4xx). */
  | { kind: 'failed'; why: string; retryAfterMs: number; isRejected: boolean }

export interface IngestClientOptions {
  /** `https://host:port`, or `unix:path` for an operator on this machine. */
  url: string
  tls: { ca: string; cert: string; key: string }
  pool: string
  agent: string
}

const UNIX = 'unix:'
const ANSWER_WITHIN_MS = 30_000
const MAX_ANSWER_CHARACTERS = 1024 * 1024
const MAX_RETRY_AFTER_SECONDS = 60

export function connectIngest(options: IngestClientOptions): IngestClient {
  const socket = options.url.startsWith(UNIX) ? socketPath(options.url.slice(UNIX.length)) : undefined
  const connectionsWith = (tls: IngestClientOptions['tls']) =>
    new Connections({
      ...tls,
      ...(socket ? { socketPath: socket.path } : {}),
      keepAlive: true,
      maxSockets: 1,
      minVersion: 'TLSv1.2',
    })
  let connections = connectionsWith(options.tls)
  const compressor = createCompressor()
  // On a Unix socket, too, the operator's certificate is checked.
  const url = new URL('/v1/ingest', socket ? 'https://localhost' : options.url)
  return {
    async send(pieces, signal) {
      const wait = deadline(ANSWER_WITHIN_MS, signal)
      try {
        const body = await compressor.compress(encodeBatch({ ...options, pieces: [...pieces] }))
        return resultOf(await post({ url, connections, body, signal: wait.signal }), pieces.length)
      } catch (error) {
        signal.throwIfAborted()
        return { kind: 'failed', why: messageOf(error), retryAfterMs: 0, isRejected: false }
      } finally {
        wait.done()
      }
    },
    useTls(tls) {
      // A request in flight fails, and is sent again.
      connections.destroy()
      connections = connectionsWith(tls)
    },
    close() {
      connections.destroy()
      socket?.done()
      compressor.close()
    },
  }
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** Throws if an answer with status 200 cannot be decoded. */
function resultOf({ status, headers, text }: Answer, pieces: number): SendResult {
  if (status === 200) return { kind: 'answered', answers: decodeAnswer(text, pieces) }
  const why = `the operator answered ${status}: ${text.slice(0, 200)}`
  const index = status === 400 ? malformedPiece(text) : undefined
  if (index !== undefined && index < pieces) return { kind: 'malformed', index, why }
  return {
    kind: 'failed',
    why,
    retryAfterMs: retryAfterMs(headers),
    isRejected: status >= 400 && status < 500,
  }
}

/** The index of the piece that the operator's message names. undefined: the whole batch is invalid. */
function malformedPiece(text: string): number | undefined {
  const index = /"(?:batch )?pieces[.[](\d+)/.exec(text)?.[1]
  return index === undefined ? undefined : Number(index)
}

function post(of: {
  url: URL
  connections: Connections
  body: Buffer
  signal: AbortSignal
}): Promise<Answer> {
  const { url, connections, body, signal } = of
  const headers = {
    'content-type': 'application/octet-stream',
    'content-encoding': 'zstd',
    'content-length': body.length,
  }
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent: connections, headers, signal }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
        if (text.length > MAX_ANSWER_CHARACTERS) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function retryAfterMs(headers: IncomingHttpHeaders): number {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1_000 : 0
}
