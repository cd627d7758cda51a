import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { InvalidInput } from '../../core/errors.ts'
import { type Batch, decodeBatch, encodeAnswer } from '../../core/output/batch.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type Admission, createAdmission } from './admission.ts'
import { type ClientAgent, clientAgentOf } from './client-agent.ts'
import { bodyOf } from './request-body.ts'
import type { StorePieces } from './store-pieces.ts'

/**
 * Where agents bring output: `POST /v1/ingest`, a batch (core/output/batch.ts) packed with zstd or gzip. TLS, and a certificate of the
 * operator's own authority on both sides.
 *
 *   200 stored, and how far    400 no batch    403 not yours    503 not now: again after Retry-After
 */
export interface IngestOptions {
  /** Default: every address. */
  host?: string
  /** 0: any free one. */
  port: number
  /** PEM. */
  tls: { ca: string; cert: string; key: string }
  take: StorePieces
  log: Log
}

export interface Ingest {
  readonly port: number
  close(): Promise<void>
}

const PATH = '/v1/ingest'
/** Batches in work at a time, each in memory; and requests that wait with what they bring still on the wire. */
const SLOTS = 8
const WAITING = 1_000
const RETRY_AFTER_SECONDS = 1
/** From the first byte of a request to its last, ms. */
const REQUEST_WITHIN_MS = 60_000

export async function serveIngest(options: IngestOptions): Promise<Ingest> {
  const gate = createAdmission({ slots: SLOTS, waiting: WAITING })
  const server = createServer(
    {
      ...options.tls,
      minVersion: 'TLSv1.2',
      requestCert: true,
      rejectUnauthorized: true,
      requestTimeout: REQUEST_WITHIN_MS,
    },
    (request, response) => void answer(options, gate, { request, response }),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(
        new InvalidInput('--ingest', `cannot listen on ${options.port}: ${error.message}`, { cause: error }),
      ),
    )
    server.listen(options.port, options.host, resolve)
  })
  server.on('error', error => options.log.error({ error: error.message }, 'ingest.failed'))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
}

async function answer(
  options: IngestOptions,
  gate: Admission,
  { request, response }: Exchange,
): Promise<void> {
  try {
    const speaker = clientAgentOf(request.socket as TLSSocket)
    if (request.method !== 'POST' || request.url !== PATH) return say(response, 404, 'there is no such thing')
    if (!speaker) return say(response, 403, 'the certificate is not that of an agent')
    const leave = await gate.enter(`${speaker.pool}/${speaker.agent}`)
    try {
      const batch = decodeBatch(await bodyOf(request))
      const wrong = notOf(speaker, batch)
      if (wrong) return say(response, 403, wrong)
      const answers = await options.take(speaker, batch.pieces)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(encodeAnswer(answers))
    } finally {
      leave()
    }
  } catch (error) {
    refuse(options.log, { request, response }, error)
  }
}

function notOf({ pool, agent }: ClientAgent, batch: Batch): string | undefined {
  if (batch.pool === pool && batch.agent === agent) return undefined
  return `the certificate is that of ${pool}/${agent}, not of ${batch.pool}/${batch.agent}`
}

function refuse(log: Log, { request, response }: Exchange, error: unknown): void {
  if (request.destroyed && !request.complete) return void response.destroy()
  if (error instanceof InvalidInput) return say(response, 400, `${error.field} ${error.message}`)
  const expected = error instanceof Unavailable
  log[expected ? 'warn' : 'error']({ error: messageOf(error) }, 'ingest.notStored')
  response.setHeader('retry-after', String(RETRY_AFTER_SECONDS))
  say(response, expected ? 503 : 500, messageOf(error))
}

/** What is left of the request is not read: the connection ends with the answer. */
function say(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ message }))
}
