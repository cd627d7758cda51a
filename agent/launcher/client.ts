import { createConnection, type Socket } from 'node:net'
import { boottimeMs } from '../../platform/boottime.ts'
import { deadline } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { encodeFrame, FrameDecoder } from '../../platform/frames.ts'
import { socketPath } from '../../platform/unix-socket.ts'
import type { Launcher } from './launcher.ts'
import {
  type Arm,
  EVENT_TYPES,
  type FromLauncher,
  fromLauncher,
  type Hello,
  type LauncherEvent,
  PROTOCOL_VERSION,
  type ToLauncher,
} from './messages.ts'
import { parseMessage } from './parse-message.ts'
import { PendingAnswers } from './pending-answers.ts'
import { batches } from './split-frames.ts'

const HELLO_WITHIN_MS = 10_000
const PIECE_BYTES = 64 * 1024
/** If the two boot times differ by more than this, the launcher's clock has another origin than the agent's. */
const OTHER_CLOCK_MS = 60_000

/**
 * Connects to the launcher that listens on `path`. The launcher then obeys only this connection. Rejects with Unavailable if nothing
 * listens there, or if the listener is not a launcher.
 */
export async function connectLauncher(path: string, signal?: AbortSignal): Promise<Launcher> {
  const wait = deadline(HELLO_WITHIN_MS, signal)
  try {
    let connection: Connection | undefined
    const socket = await open(path, piece => connection?.receive(piece), wait.signal)
    // The launcher sends nothing before the hello that the constructor sends, so no piece is missed.
    connection = new Connection(socket)
    const hello = await connection.hello(wait.signal)
    return launcherOn(connection, hello)
  } finally {
    wait.done()
  }
}

/** Reads into one buffer that is reused. All output comes through here, and would otherwise leave a buffer behind for each 64 KiB. */
async function open(path: string, receive: (piece: Buffer) => void, signal: AbortSignal): Promise<Socket> {
  const short = socketPath(path)
  const buffer = Buffer.alloc(PIECE_BYTES)
  const callback = (length: number) => {
    receive(buffer.subarray(0, length))
    return true
  }
  const socket = createConnection({ path: short.path, signal, onread: { buffer, callback } })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  } catch (cause) {
    throw new Unavailable(`no launcher answers on ${path}: ${messageOf(cause)}`, { cause })
  } finally {
    short.done()
  }
}

function launcherOn(connection: Connection, hello: Hello): Launcher {
  const { answers } = connection
  const origin = hello.boottime - boottimeMs()
  const shift = Math.abs(origin) > OTHER_CLOCK_MS ? origin : 0
  const send = (message: ToLauncher) => connection.send(message)
  return {
    instance: hello.instance,
    implementation: hello.implementation,
    build: hello.build,
    pid: hello.pid,
    features: new Set(hello.features),
    arm: runs => {
      for (const batch of batches<Arm>(runs)) send({ type: 'arm', runs: batch })
    },
    cancel: ids => send({ type: 'cancel', ids }),
    kill: (ids, reason) => send({ type: 'kill', ids, reason }),
    fence: (session, until) => send({ type: 'fence', session, until: until + shift }),
    runs: signal => answers.ask(seq => send({ type: 'runs', seq }), signal),
    forget: ids => send({ type: 'forget', ids }),
    read: async (id, request, signal) => {
      const answer = await answers.askRead(seq => send({ type: 'read', seq, id, ...request }), signal)
      const { data } = answer
      return {
        bytes: typeof data === 'string' ? Buffer.from(data, 'base64') : data,
        next: answer.next,
        end: answer.end,
      }
    },
    onEvent: listener => connection.onEvent(listener),
    onClosed: listener => connection.onClosed(listener),
    stop: async whenIdle => {
      send({ type: 'stop', whenIdle })
      await connection.ended
    },
    close: () => connection.close(),
  }
}

/** One connection: decodes and parses messages, and dispatches each to its request or to the event listeners. */
class Connection {
  readonly answers = new PendingAnswers()
  /** Resolves with the reason when the socket has closed, whichever side closed it. */
  readonly ended: Promise<string>
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder(parseMessage)
  readonly #greeting = Promise.withResolvers<Hello>()
  readonly #listeners = new Set<(event: LauncherEvent) => void>()
  #early: LauncherEvent[] | undefined = []
  #reason = 'the launcher closed the connection'
  #isClosing = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#greeting.promise.catch(() => {})
    socket.on('error', error => {
      this.#reason = error.message
    })
    this.ended = new Promise(resolve => {
      socket.once('close', () => {
        const error = new Unavailable(`the launcher's connection ended: ${this.#reason}`)
        this.#greeting.reject(error)
        this.answers.fail(error)
        resolve(this.#reason)
      })
    })
    this.send({ type: 'hello', version: PROTOCOL_VERSION, implementation: 'agent', pid: process.pid })
  }

  async hello(signal: AbortSignal): Promise<Hello> {
    const onAbort = () => this.#socket.destroy(new Error(messageOf(signal.reason)))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#greeting.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Drops messages after the connection has ended. `onClosed` reports the end. */
  send(message: ToLauncher) {
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame(message))
  }

  onEvent(listener: (event: LauncherEvent) => void): () => void {
    this.#listeners.add(listener)
    const early = this.#early ?? []
    this.#early = undefined
    for (const event of early) listener(event)
    return () => this.#listeners.delete(listener)
  }

  onClosed(listener: (reason: string) => void): () => void {
    let isListening = true
    void this.ended.then(reason => {
      if (isListening && !this.#isClosing) listener(reason)
    })
    return () => {
      isListening = false
    }
  }

  /** Messages sent before are still delivered. */
  close() {
    this.#isClosing = true
    this.#socket.end()
    this.#socket.resume()
  }

  /** `piece` is valid only during the call. */
  receive(piece: Buffer) {
    try {
      for (const value of this.#decoder.push(piece)) {
        const message = fromLauncher.safeParse(value)
        if (message.success) this.#take(message.data)
        else if (isKnown(value)) throw new Error(`malformed message: ${message.error.message}`)
      }
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  #take(message: FromLauncher) {
    switch (message.type) {
      case 'hello':
        return this.#greeting.resolve(message)
      case 'runs':
      case 'read':
        return this.answers.take(message)
      case 'replaced':
        this.#reason = 'Replaced'
        return undefined
      default:
        this.#early?.push(message)
        for (const listener of this.#listeners) listener(message)
        return undefined
    }
  }
}

/** Messages of unknown types are ignored, because a newer launcher may send them. Messages of known types must be well formed. */
function isKnown(value: unknown): boolean {
  const type = (value as { type?: unknown } | null)?.type
  return typeof type === 'string' && ['hello', 'runs', 'read', 'replaced', ...EVENT_TYPES].includes(type)
}
