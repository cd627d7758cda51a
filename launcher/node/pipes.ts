import { spawn } from 'node:child_process'
import { constants, fchownSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Each `mkfifo` makes so many at once. */
const BATCH = 200

interface OutputPipe {
  reader: Socket
  /** The command's end: closed here as soon as the command has it. */
  writer: number
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

  /** `dir` is emptied. */
  constructor(dir: string) {
    this.#dir = dir
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(dir, { mode: 0o700 })
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
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(path, constants.O_WRONLY)
    unlinkSync(path)
    if (owner) fchownSync(writer, owner.uid, owner.gid)
    return { reader: new Socket({ fd: reader, readable: true, writable: false }), writer }
  }

  async #make(count: number): Promise<void> {
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
