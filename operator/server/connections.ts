import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/**
 * Keeps one client from taking the connections of all others. A connection counts for its address until its handshake is done, then for
 * its certificate, or without one still for its address. Above a limit one connection of the same client is closed:
 *
 *   during handshakes        the oldest one: a client that is alive comes through
 *   with a certificate       the oldest one without a request, else the oldest one: an agent that restarts comes through
 *   without a certificate    the oldest one without a request, else the new one: requests in progress go on
 *
 * Unix sockets have no limits, because only the operator's own user reaches them.
 */
export interface ConnectionLimits {
  /** Handshakes at a time of one address, and of all addresses. */
  handshakes: number
  allHandshakes: number
  /** Connections with the same client certificate's name. An agent uses one, and two while it restarts. */
  ofCertificate: number
  /** Connections of one address without a certificate. All users behind a port-forward have one address. */
  ofAddress: number
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  handshakes: 64,
  allHandshakes: 1_024,
  ofCertificate: 8,
  ofAddress: 256,
}

/** `onLimit`: called when a connection is closed. */
export function limitConnections(
  server: Server,
  limits: ConnectionLimits,
  onLimit: (client: string, limit: keyof ConnectionLimits) => void,
): void {
  const handshakes = createCrowds<Socket>()
  const all = createCrowds<Socket>()
  const connections = createCrowds<Socket>()
  const requests = new WeakMap<Socket, number>()
  const isIdle = (socket: Socket) => !requests.get(socket)
  const underWay = new Map<string, Socket>()

  server.on('connection', (socket: Socket) => {
    const address = addressOf(socket)
    if (address === undefined) return
    underWay.set(peerOf(socket), socket)
    socket.on('close', () => underWay.delete(peerOf(socket)))
    const evict = (crowds: Crowds<Socket>, key: string, limit: 'handshakes' | 'allHandshakes') => {
      const crowd = crowds.add(key, socket)
      const [oldest] = crowd
      if (crowd.size <= limits[limit] || !oldest) return
      onLimit(address, limit)
      oldest.destroy()
      handshakes.delete(oldest)
      all.delete(oldest)
    }
    evict(handshakes, address, 'handshakes')
    evict(all, 'all', 'allHandshakes')
  })

  server.on('secureConnection', (socket: TLSSocket) => {
    const address = addressOf(socket)
    if (address === undefined) return
    const raw = underWay.get(peerOf(socket))
    if (raw) for (const crowds of [handshakes, all]) crowds.delete(raw)
    const name = certifiedNameOf(socket)
    const crowd = connections.add(name ?? address, socket)
    const limit = name === undefined ? 'ofAddress' : 'ofCertificate'
    if (crowd.size <= limits[limit]) return
    const oldest = [...crowd].find(each => each !== socket && isIdle(each))
    const closed = oldest ?? (name === undefined ? socket : [...crowd][0])
    onLimit(name ?? address, limit)
    closed?.destroy()
    if (closed) connections.delete(closed)
  })

  server.on('request', ({ socket }, response) => {
    requests.set(socket, (requests.get(socket) ?? 0) + 1)
    response.on('close', () => requests.set(socket, (requests.get(socket) ?? 1) - 1))
  })
}

interface Crowds<T> {
  add(key: string, item: T): ReadonlySet<T>
  delete(item: T): void
}

/** Sets of open sockets by client, in the order in which they came. */
function createCrowds<T extends Socket>(): Crowds<T> {
  const sets = new Map<string, Set<T>>()
  const keys = new WeakMap<T, string>()
  const remove = (item: T) => {
    const key = keys.get(item) ?? ''
    const set = sets.get(key)
    if (set?.delete(item) && set.size === 0) sets.delete(key)
  }
  return {
    add(key, item) {
      const set = sets.get(key) ?? new Set()
      sets.set(key, set.add(item))
      keys.set(item, key)
      item.on('close', () => remove(item))
      return set
    },
    delete: remove,
  }
}

/** The TLS socket of a connection and its TCP socket have the same peer. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function certifiedNameOf(socket: TLSSocket): string | undefined {
  const name: unknown = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined
  return typeof name === 'string' ? name : undefined
}

/** undefined: a Unix socket. Of IPv6 the first 64 bits, because one machine has all addresses that begin with them. */
function addressOf({ remoteAddress }: Socket): string | undefined {
  if (remoteAddress === undefined || remoteAddress.includes('.')) return remoteAddress?.replace('::ffff:', '')
  const [head = [], tail] = remoteAddress
    .split('::')
    .map(part => part.split(':').filter(group => group !== ''))
  const missing = tail ? Math.max(8 - head.length - tail.length, 0) : 0
  const groups = head.concat(Array<string>(missing).fill('0'), tail ?? [])
  return groups.slice(0, 4).join(':')
}
