import type { IncomingHttpHeaders } from 'node:http'
import { Agent as Connections, request } from 'node:https'
import { type BatchPiece, decodeAnswer, encodeBatch, type PieceAnswer } from '../../core/output/batch.ts'
import { deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { createCompressor } from './compressor.ts'

/** The operator's ingest, as an agent speaks to it: TLS, each side known to the other by a certificate of the same authority. */
export interface IngestClient {
  /** One request at a time. Never rejects but for the signal. */
  send(pieces: readonly BatchPiece[], signal: AbortSignal): Promise<Sent>
  close(): void
}

export type Sent =
  | { kind: 'answered'; answers: PieceAnswer[] }
  /** Nothing was stored: this piece is none, and never will be. */
  | { kind: 'malformed'; index: number; why: string }
  /** Whether it was stored is not known. `refused`: the operator is there, and will not have it as it is. */
  | { kind: 'notNow'; why: string; afterMs: number; refused: boolean }

export interface IngestClientOptions {
  /** `https://host:port` */
  url: string
  tls: { ca: string; cert: string; key: string }
  pool: string
  agent: string
}

const ANSWER_WITHIN_MS = 30_000
const LONGEST_ANSWER = 1024 * 1024

export function connectIngest(options: IngestClientOptions): IngestClient {
  const connections = new Connections({
    ...options.tls,
    keepAlive: true,
    maxSockets: 1,
    minVersion: 'TLSv1.2',
  })
  const compressor = createCompressor()
  const url = new URL('/v1/ingest', options.url)
  return {
    async send(pieces, signal) {
      const wait = deadline(ANSWER_WITHIN_MS, signal)
      try {
        const body = await compressor.compress(encodeBatch({ ...options, pieces: [...pieces] }))
        const { status, headers, text } = await post({ url, connections, body, signal: wait.signal })
        if (status === 200) return { kind: 'answered', answers: decodeAnswer(text, pieces.length) }
        const why = `the operator answered ${status}: ${text.slice(0, 200)}`
        const index = status === 400 ? malformedIn(text) : undefined
        if (index !== undefined && index < pieces.length) return { kind: 'malformed', index, why }
        return { kind: 'notNow', why, afterMs: retryAfter(headers), refused: status >= 400 && status < 500 }
      } catch (error) {
        signal.throwIfAborted()
        return { kind: 'notNow', why: messageOf(error), afterMs: 0, refused: false }
      } finally {
        wait.done()
      }
    },
    close() {
      connections.destroy()
      compressor.close()
    },
  }
}

/** Which piece the operator names as what is wrong; undefined: it is not a piece, but the whole of it. */
function malformedIn(text: string): number | undefined {
  const index = /"(?:batch )?pieces[.[](\d+)/.exec(text)?.[1]
  return index === undefined ? undefined : Number(index)
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
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
        if (text.length > LONGEST_ANSWER) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function retryAfter(headers: IncomingHttpHeaders): number {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1_000 : 0
}
