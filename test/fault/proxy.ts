import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * How the proxy treats bytes and connections.
 * - pass: nothing
 * - delay: bytes in both directions arrive `ms` late
 * - blackhole: connections are accepted, bytes in both directions are lost
 * - no-answers: a connection passes until the client sends `marker` (default: any bytes); then the server's bytes are lost
 * - cut-answers: a connection is cut after `bytes` from the server
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
  /** How many connections were accepted so far. */
  readonly accepted: number
  /** Applies to open and new connections. Lost bytes stay lost: call `cut` before `pass`. */
  set(mode: Mode): void
  /** Open connections lose all bytes from now on; new ones do not. */
  stall(): void
  /** Resets all open connections. */
  cut(): void
  close(): Promise<void>
}

/** A TCP proxy on a free port of 127.0.0.1 that injects faults. */
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
