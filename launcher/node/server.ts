import { rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { boottimeMs } from '../../platform/boottime.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { encodeFrame, FrameDecoder } from '../../platform/frames.ts'
import type { Log } from '../../platform/log.ts'
import { socketPath } from '../../platform/unix-socket.ts'
import { FEATURES, type FromAgent, PROTOCOL_VERSION, parseMessage, type RunInfo } from './protocol.ts'
import { answerRead, type ReadAnswer } from './read.ts'
import type { Supervisor } from './supervisor.ts'

/** An agent that takes nothing (it hangs) is cut off; it gets all that counts when it connects again. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024
/** A list travels in parts that fit a frame. */
const RUNS_PER_FRAME = 1_000

export interface ServerDeps {
  supervisor: Supervisor
  clock: Clock
  log: Log
  instance: string
  build?: string
  spoolDir: string
}

/** Listens on the socket, which only its owner may open. A file left by a launcher that died is replaced. */
export async function listen(path: string, deps: ServerDeps): Promise<{ close(): Promise<void> }> {
  const short = socketPath(path)
  if (await isAlive(short.path)) throw new Error(`another launcher listens on ${path}`)
  rmSync(path, { force: true })
  const agents = new Agents(deps)
  const server = createServer(socket => agents.welcome(socket))
  const mask = process.umask(0o177)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(short.path, resolve)
  }).finally(() => process.umask(mask))
  return { close: () => close(server, agents).finally(() => short.done()) }
}

async function close(server: Server, agents: Agents): Promise<void> {
  const closed = new Promise(resolve => server.close(resolve))
  await agents.end()
  await closed
}

function isAlive(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createConnection(path)
    probe.once('connect', () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('close', () => resolve(false))
  }).then(alive => alive === true)
}

/** The connections. The one that said hello last is the agent; it alone is obeyed and told. */
class Agents {
  readonly #deps: ServerDeps
  readonly #sockets = new Set<Socket>()
  #acting: Socket | undefined
  #unsent: Buffer[] = []

  constructor(deps: ServerDeps) {
    this.#deps = deps
    deps.supervisor.onEvent = event => this.#send(event)
  }

  welcome(socket: Socket) {
    const decoder = new FrameDecoder()
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#acting === socket) this.#acting = undefined
    })
    socket.on('data', piece => {
      try {
        for (const value of decoder.push(piece as Buffer)) this.#take(socket, parseMessage(value))
      } catch (error) {
        this.#deps.log.warn({ error: messageOf(error) }, 'agent.malformed')
        socket.destroy()
      }
    })
  }

  /** Everything that was told reaches the agent before the connections end. */
  async end() {
    this.#flush()
    const ending = [...this.#sockets].map(
      socket => new Promise(resolve => socket.once('close', resolve).end(() => socket.destroy())),
    )
    const patience = new AbortController()
    await Promise.race([Promise.all(ending), this.#deps.clock.sleep(1_000, patience.signal).catch(() => {})])
    patience.abort()
    for (const socket of this.#sockets) socket.destroy()
  }

  #take(socket: Socket, message: FromAgent | undefined) {
    if (!message) return
    if (message.type === 'hello') this.#install(socket)
    else if (socket === this.#acting) this.#obey(message)
  }

  #install(socket: Socket) {
    const older = this.#acting
    if (older && older !== socket) {
      this.#send({ type: 'replaced' })
      this.#flush()
      older.end()
    }
    this.#acting = socket
    const { instance, supervisor, build } = this.#deps
    const self = { implementation: 'node', instance, pid: process.pid, features: FEATURES, build }
    this.#send({ type: 'hello', version: PROTOCOL_VERSION, ...self, boottime: boottimeMs() })
    for (const event of supervisor.latest()) this.#send(event)
  }

  #obey(message: Exclude<FromAgent, { type: 'hello' }>) {
    const { supervisor } = this.#deps
    switch (message.type) {
      case 'arm':
        return supervisor.arm(message.runs)
      case 'cancel':
        return supervisor.cancel(message.ids)
      case 'kill':
        return supervisor.kill(message.ids, message.reason)
      case 'fence':
        return supervisor.fence(message.session, message.until)
      case 'runs':
        return this.#sendRuns(message.seq, supervisor.list())
      case 'forget':
        return supervisor.forget(message.ids)
      case 'read':
        return this.#read(message)
      case 'stop':
        return supervisor.stop(message.whenIdle)
      default:
        return message satisfies never
    }
  }

  #sendRuns(seq: number, runs: RunInfo[]) {
    for (let from = 0; from === 0 || from < runs.length; from += RUNS_PER_FRAME) {
      const part = runs.slice(from, from + RUNS_PER_FRAME)
      this.#send({ type: 'runs', seq, runs: part, more: from + RUNS_PER_FRAME < runs.length })
    }
  }

  #read(message: Extract<FromAgent, { type: 'read' }>) {
    const asker = this.#acting
    answerRead(message, this.#deps.supervisor.get(message.id), this.#deps).then(
      answer => {
        if (asker === this.#acting) this.#send(answer)
      },
      error => {
        this.#deps.log.error({ run: message.id, error: messageOf(error) }, 'spool.unreadable')
        const { seq, offset: next } = message
        const answer: ReadAnswer = { type: 'read', seq, data: '', next, end: true, error: messageOf(error) }
        if (asker === this.#acting) this.#send(answer)
      },
    )
  }

  /** What is told in one turn leaves in one write. */
  #send(message: object) {
    if (!this.#acting) return
    if (this.#unsent.length === 0) setImmediate(() => this.#flush())
    this.#unsent.push(encodeFrame(message))
  }

  #flush() {
    const socket = this.#acting
    const bytes = Buffer.concat(this.#unsent)
    this.#unsent = []
    if (!socket || bytes.length === 0) return
    socket.write(bytes)
    if (socket.writableLength > MAX_UNSENT_BYTES) socket.destroy()
  }
}
