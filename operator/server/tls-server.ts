import { createServer, type Server } from 'node:https'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Listen } from '../startup/addresses.ts'
import { CONNECTION_LIMITS, type ConnectionLimits, limitConnections } from './connections.ts'
import type { Handler } from './exchange.ts'
import { listenOn } from './listen.ts'
import { createLogLimit } from './log-limit.ts'

/**
 * The operator's only TLS server, for agents and users. It asks each client for a certificate, and takes clients without one: the handler of
 * each route judges who may use it (peer-agent.ts for agents, users/ for users).
 */
export interface TlsServer {
  /** Of the first TCP address; 0 if there is none. */
  readonly port: number
  /** New connections get this certificate. Present ones go on. */
  certify(tls: ServerTls): void
  close(): Promise<void>
}

/** PEM. `ca`: the authority of agents' certificates. `cert` begins with the server's own certificate. */
export interface ServerTls {
  ca: string
  cert: string
  key: string
}

export interface TlsServerOptions {
  listen: readonly Listen[]
  tls: ServerTls
  handle: Handler
  log: Log
  clock: Clock
  limits?: ConnectionLimits
}

/** The deadlines of a TLS handshake, of a request's head, and from the first byte of a request to its last, ms. */
const HANDSHAKE_DEADLINE_MS = 5_000
const HEAD_DEADLINE_MS = 10_000
const REQUEST_DEADLINE_MS = 60_000
const LOOK_MS = 2_000
const MIN_VERSION = 'TLSv1.2'

export async function serveTls(options: TlsServerOptions): Promise<TlsServer> {
  const running: { server: Server; remove(): Promise<void> }[] = []
  const close = async () => {
    await Promise.all(running.map(({ server }) => closed(server)))
    for (const { remove } of running) await remove()
  }
  try {
    for (const listen of options.listen) {
      const server = createOne(options)
      running.push({ server, remove: await listenOn(server, listen) })
      server.on('error', error => options.log.error({ error: error.message }, 'server.failed'))
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    port: running.map(({ server }) => portOf(server)).find(port => port > 0) ?? 0,
    certify: tls => {
      for (const { server } of running) server.setSecureContext({ ...tls, minVersion: MIN_VERSION })
    },
    close,
  }
}

function createOne({ tls, handle, log, clock, limits = CONNECTION_LIMITS }: TlsServerOptions): Server {
  const server = createServer(
    {
      ...tls,
      minVersion: MIN_VERSION,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_DEADLINE_MS,
      headersTimeout: HEAD_DEADLINE_MS,
      requestTimeout: REQUEST_DEADLINE_MS,
      connectionsCheckingInterval: LOOK_MS,
    },
    (request, response) => void handle({ request, response }),
  )
  const lines = createLogLimit(clock)
  limitConnections(server, limits, (client, limit) => {
    const line = lines(`${client} ${limit}`)
    if (line) log.warn({ client, limit, most: limits[limit], ...line }, 'server.tooManyConnections')
  })
  return server
}

async function closed(server: Server): Promise<void> {
  const end = new Promise<void>(resolve => void server.close(() => resolve()))
  server.closeAllConnections()
  await end
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}
