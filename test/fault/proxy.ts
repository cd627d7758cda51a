import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What happens to bytes and connections.
 * - pass: nothing
 * - delay: bytes of both directions arrive `ms` late
 * - blackhole: connections are accepted, bytes of both directions vanish
 * - no-answers: a connection passes until the client sends `marker` (any bytes, if absent); then the server's bytes vanish
 * - cut-answers: a connection is cut after `bytes` of the server's
 * - refuse: connections are cut at once
 */
type Mode =
  | { kind: 'pass' }
  | { kind: 'delay'; ms: number }
  | { kind: 'blackhole' }
  | { kind: 'no-answers'; marker?: string }
  | { kind: 'cut-answers'; bytes: number }
  | { kind: 'refuse' }

export interface Proxy {
  host: string
  port: number
  /** Connections accepted so far. */
  readonly accepted: number
  /** Holds for open and new connections. Bytes that vanished stay so: cut before you pass again. */
  set(mode: Mode): void
  /** Open connections are blackholed for good; new ones are not. */
  stall(): void
  /** Resets all open connections. */
  cut(): void
  close(): Promise<void>
}

/** A TCP proxy on a free port of 127.0.0.1 that misbehaves when told to. */
export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  let mode: Mode = { kind: 'pass' }
  let accepted = 0
  let stalled = 0
  const open = new Set<Socket>()

  const server = createServer(client => {
    accepted += 1
    const number = accepted
    const isDead = () => mode.kind === 'blackhole' || number <= stalled
    if (mode.kind === 'refuse') {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(target)
    upstream.setNoDelay()
    client.setNoDelay()
    let answered = 0
    let marked = false
    const cut = () => {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        open.delete(socket)
        cut()
      })
    }
    client.on('data', bytes => {
      if (isDead()) return
      if (mode.kind === 'no-answers') marked ||= mode.marker === undefined || bytes.includes(mode.marker)
      void forward(upstream, bytes, mode)
    })
    upstream.on('data', bytes => {
      if (isDead() || (mode.kind === 'no-answers' && marked)) return
      if (mode.kind === 'cut-answers' && answered + bytes.length > mode.bytes) {
        client.write(bytes.subarray(0, mode.bytes - answered), cut)
        return
      }
      answered += bytes.length
      void forward(client, bytes, mode)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('proxy: no port')

  return {
    host: '127.0.0.1',
    port: address.port,
    get accepted() {
      return accepted
    },
    set: next => {
      mode = next
    },
    stall: () => {
      stalled = accepted
    },
    cut: () => {
      for (const socket of open) socket.resetAndDestroy()
    },
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function forward(to: Socket, bytes: Buffer, mode: Mode): Promise<void> {
  if (mode.kind === 'delay') await sleep(mode.ms)
  if (!to.destroyed) to.write(bytes)
}
