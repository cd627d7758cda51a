import { spawn } from 'node:child_process'
import {
  constants,
  existsSync,
  fchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Each `mkfifo` makes so many at once. */
const BATCH = 200

/** Our end. */
export interface OutputReader {
  stream: Socket
  /** The stream's: valid until that is destroyed. */
  fd: number
}

interface OutputPipe {
  reader: OutputReader
  /** The command's end: closed here as soon as the command has it. */
  writer: number
}

/** As much as Linux lets a pipe hold whose writer is not root. */
const LARGEST_PIPE_BYTES = 1024 * 1024

/** Emits what lies in a pipe now, and no more than fits in there: who writes on is not waited for. */
export function emitRest({ stream, fd }: OutputReader) {
  stream.pause()
  for (let left = LARGEST_PIPE_BYTES; left > 0 && !stream.destroyed; ) {
    // Reading what the stream has read ahead emits it.
    if (stream.read()) continue
    const data = readNow(fd)
    if (!data) return
    left -= data.length
    stream.emit('data', data)
  }
}

/** Undefined: nothing lies there, now or ever. */
function readNow(fd: number): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(64 * 1024)
  try {
    const length = readSync(fd, buffer)
    return length > 0 ? buffer.subarray(0, length) : undefined
  } catch {
    return undefined
  }
}

/**
 * Pipes for output. Node gives a child sockets, on which `echo > /dev/stderr` fails; and it has no call for a pipe. So named
 * ones are made ahead, many by one `mkfifo`, and lose their names when both ends are open.
 */
export class Pipes {
  readonly #dir: string
  #ready: string[] = []
  #made = 0
  #making: Promise<void> | undefined

  /** `dir` is emptied, and not made anew: on a full disk that may not be possible. */
  constructor(dir: string) {
    this.#dir = dir
    for (const name of existsSync(dir) ? readdirSync(dir) : []) rmSync(join(dir, name), { recursive: true })
  }

  /** Resolves when at least `count` are ready. Rejects if none can be made. */
  async prepare(count: number): Promise<void> {
    while (this.#ready.length < count) {
      this.#making ??= this.#make(Math.max(count - this.#ready.length, 16)).finally(() => {
        this.#making = undefined
      })
      await this.#making
    }
  }

  /** One that `prepare` has made. `owner`: who may open it again as /dev/stdout. */
  open(owner: { uid: number; gid: number } | undefined): OutputPipe {
    const path = this.#ready.pop()
    if (path === undefined) throw new Error('no pipe is ready')
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(path, constants.O_WRONLY)
    unlinkSync(path)
    if (owner) fchownSync(writer, owner.uid, owner.gid)
    return { reader: { stream: new Socket({ fd, readable: true, writable: false }), fd }, writer }
  }

  async #make(count: number): Promise<void> {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
    const paths = Array.from({ length: Math.min(count, BATCH) }, () => join(this.#dir, String(this.#made++)))
    const maker = spawn('mkfifo', ['-m', '600', ...paths], { stdio: ['ignore', 'ignore', 'pipe'] })
    const message = text(maker.stderr)
    const code = await new Promise((resolve, reject) => {
      maker.once('error', reject)
      maker.once('close', resolve)
    })
    if (code !== 0) throw new Error(`mkfifo: ${(await message).trim()}`)
    this.#ready.push(...paths)
  }
}
