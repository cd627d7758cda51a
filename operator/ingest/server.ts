import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { InvalidInput } from '../../core/errors.ts'
import { type Batch, decodeBatch, encodeAnswer } from '../../core/output/batch.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { listenPrivately } from '../../platform/private-socket.ts'
import type { Listen } from '../startup/config.ts'
import { type Admission, createAdmission } from './admission.ts'
import { type ClientAgent, clientAgentOf } from './client-agent.ts'
import { bodyOf } from './request-body.ts'
import type { StorePieces } from './store-pieces.ts'

/**
 * The server to which agents send output: `POST /v1/ingest` with a batch (core/output/batch.ts), compressed with zstd or gzip. It uses TLS
 * with client certificates of the operator's own authority.
 *
 *   200 answers for each piece    400 invalid batch    403 another agent's certificate    503 try again after Retry-After
 */
export interface IngestOptions {
  listen: Listen
  /** PEM. */
  tls: { ca: string; cert: string; key: string }
  storePieces: StorePieces
  log: Log
}

export interface Ingest {
  /** 0 on a Unix socket. */
  readonly port: number
  close(): Promise<void>
}

const PATH = '/v1/ingest'
/** How many batches are in memory at a time, and how many requests may wait with their body still unread. */
const SLOTS = 8
const WAITING = 1_000
const RETRY_AFTER_SECONDS = 1
/** The deadline from the first byte of a request to its last, ms. */
const REQUEST_DEADLINE_MS = 60_000

export async function serveIngest(options: IngestOptions): Promise<Ingest> {
  const admission = createAdmission({ slots: SLOTS, waiting: WAITING })
  const server = createServer(
    {
      ...options.tls,
      minVersion: 'TLSv1.2',
      requestCert: true,
      rejectUnauthorized: true,
      requestTimeout: REQUEST_DEADLINE_MS,
    },
    (request, response) => void answer(options, admission, { request, response }),
  )
  const leave = await listenOn(server, options.listen)
  server.on('error', error => options.log.error({ error: error.message }, 'ingest.failed'))
  const address = server.address()
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    async close() {
      const closed = new Promise<void>(resolve => void server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await leave()
    },
  }
}

const WRONG_PLACE = [
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'EACCES',
  'EINVAL',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOTDIR',
  'ENOTFOUND',
]

/** Returns the function that removes what is left after the server is closed. */
async function listenOn(server: Server, listen: Listen): Promise<() => Promise<void>> {
  const on = (at: { path: string } | { host?: string; port: number }) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(at, () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    if ('path' in listen) return (await listenPrivately(listen.path, path => on({ path }))).remove
    await on(listen)
    return () => Promise.resolve()
  } catch (error) {
    // Anything else, such as a full disk, is no wrong setting.
    if (!WRONG_PLACE.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    const where = 'path' in listen ? listen.path : `port ${listen.port}`
    const message = `cannot listen on ${where}: ${messageOf(error)}; use another one`
    throw new InvalidInput('--ingest', message, { cause: error })
  }
}

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
}

async function answer(
  options: IngestOptions,
  admission: Admission,
  { request, response }: Exchange,
): Promise<void> {
  try {
    const sender = clientAgentOf(request.socket as TLSSocket)
    if (request.method !== 'POST' || request.url !== PATH)
      return reject(response, 404, `not found; use POST ${PATH}`)
    if (!sender) return reject(response, 403, 'the client certificate is not that of an agent')
    const leave = await admission.enter(`${sender.pool}/${sender.agent}`)
    try {
      const batch = decodeBatch(await bodyOf(request))
      const mismatch = senderMismatch(sender, batch)
      if (mismatch) return reject(response, 403, mismatch)
      const answers = await options.storePieces(sender, batch.pieces)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(encodeAnswer(answers))
    } finally {
      leave()
    }
  } catch (error) {
    fail(options.log, { request, response }, error)
  }
}

function senderMismatch({ pool, agent }: ClientAgent, batch: Batch): string | undefined {
  if (batch.pool === pool && batch.agent === agent) return undefined
  return `the client certificate is that of agent ${pool}/${agent}, but the batch is from ${batch.pool}/${batch.agent}`
}

function fail(log: Log, { request, response }: Exchange, error: unknown): void {
  if (request.destroyed && !request.complete) return void response.destroy()
  if (error instanceof InvalidInput) return reject(response, 400, `${error.field} ${error.message}`)
  const expected = error instanceof Unavailable
  log[expected ? 'warn' : 'error']({ error: messageOf(error) }, 'ingest.notStored')
  response.setHeader('retry-after', String(RETRY_AFTER_SECONDS))
  reject(response, expected ? 503 : 500, messageOf(error))
}

/** The rest of the request is not read, so the connection is closed after the answer. */
function reject(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ message }))
}
