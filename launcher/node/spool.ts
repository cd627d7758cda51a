import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Output } from './protocol.ts'
import { chunkHeader, HEADER_BYTES, KIND, type Stream } from './spool-format.ts'
import { Tail } from './tail.ts'

/** More than this waits for the disk: the command has to wait too. */
const MAX_PENDING_BYTES = 256 * 1024
const LONGEST_NAME = 200

/** Ids are opaque: whatever one holds, its file lies in the folder, and no two ids share one. */
export function spoolName(id: string): string {
  const name = encodeURIComponent(id.toWellFormed()).replace(/^\./, '%2E')
  if (name.length <= LONGEST_NAME && id.isWellFormed()) return name
  return `${name.slice(0, 160).padEnd(160, '_')}-${createHash('sha256').update(id, 'utf16le').digest('hex')}`
}

/** A run's output on its way to the disk. The file is made with the first byte. Every method is safe to call at any time. */
export class Spool {
  readonly #path: string
  readonly #tail = new Tail()
  readonly #counts = { stdout: { bytes: 0, cut: 0 }, stderr: { bytes: 0, cut: 0 } }
  #room: number
  #queue: Buffer[] = []
  #pending = 0
  #file: FileHandle | undefined
  #size = 0
  #writing: Promise<void> | undefined
  #error: string | undefined
  #onDrain: () => void = () => {}
  #onWritten: () => void = () => {}

  /** `limit`: bytes of output that are kept. */
  constructor(path: string, limit: number) {
    this.#path = path
    this.#room = limit
  }

  /** Called when writing may go on after `push` returned false. */
  set onDrain(listener: () => void) {
    this.#onDrain = listener
  }

  /** Called after each write to the file. */
  set onWritten(listener: () => void) {
    this.#onWritten = listener
  }

  get pending(): number {
    return this.#pending
  }

  /** False: let the writer wait for `onDrain`. */
  push(stream: Stream, at: number, data: Buffer): boolean {
    this.#tail.push(data)
    const kept = this.#error === undefined ? Math.min(this.#room, data.length) : 0
    this.#counts[stream].bytes += kept
    this.#counts[stream].cut += data.length - kept
    this.#room -= kept
    if (kept > 0) this.#write(chunkHeader(KIND[stream], at, kept), data.subarray(0, kept))
    return this.#pending < MAX_PENDING_BYTES
  }

  /** Writes what is left, and the mark if something was cut. Nothing may be pushed after. */
  async finish(at: number): Promise<Output> {
    await this.#idle()
    const { stdout, stderr } = this.#counts
    if (stdout.cut + stderr.cut > 0 && this.#error === undefined) {
      // What was cut is in the tail, and nowhere else.
      const tail = this.#tail.text()
      const mark = Buffer.from(JSON.stringify({ stdout: stdout.cut, stderr: stderr.cut, tail }))
      this.#write(chunkHeader(KIND.cut, at, mark.length), mark)
      await this.#idle()
    }
    await this.#file?.close().catch(() => {})
    this.#file = undefined
    const output = { stdout, stderr, tail: this.#tail.text() }
    return this.#error === undefined ? output : { ...output, spoolError: this.#error }
  }

  async #idle() {
    while (this.#writing) await this.#writing
  }

  #write(...parts: Buffer[]) {
    for (const part of parts) {
      this.#queue.push(part)
      this.#pending += part.length
    }
    this.#writing ??= this.#flush()
  }

  async #flush() {
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      const bytes = batch.reduce((sum, part) => sum + part.length, 0)
      await this.#append(batch)
      this.#pending -= bytes
      this.#onWritten()
    }
    this.#writing = undefined
    this.#onDrain()
  }

  async #append(batch: Buffer[]) {
    if (this.#error !== undefined) return this.#countAsCut(batch)
    try {
      this.#file ??= await makeFile(this.#path)
      for (let bytes = Buffer.concat(batch); bytes.length > 0; ) {
        const { bytesWritten } = await this.#file.write(bytes)
        bytes = bytes.subarray(bytesWritten)
      }
      this.#size += batch.reduce((sum, part) => sum + part.length, 0)
    } catch (error) {
      this.#error = (error as NodeJS.ErrnoException).code ?? 'Unknown'
      this.#countAsCut(batch)
      await this.#file?.truncate(this.#size).catch(() => {})
    }
  }

  /** A batch that the disk did not take was counted as kept. It is headers and data in turn. */
  #countAsCut(batch: Buffer[]) {
    for (let n = 0; n + 1 < batch.length; n += 2) {
      const header = batch[n]
      const data = batch[n + 1]
      if (header?.length !== HEADER_BYTES || !data) continue
      const stream = header[0] === KIND.stdout ? 'stdout' : header[0] === KIND.stderr ? 'stderr' : undefined
      if (!stream) continue
      this.#counts[stream].bytes -= data.length
      this.#counts[stream].cut += data.length
    }
  }
}

/** Its folder too, if somebody took that away. */
async function makeFile(path: string): Promise<FileHandle> {
  const make = () => open(path, 'w', 0o600)
  try {
    return await make()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return make()
  }
}
