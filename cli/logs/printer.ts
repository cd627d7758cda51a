import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { OutputChunk } from '../../core/output/chunks.ts'

/**
 * Writes output as it was written: stdout to stdout, stderr to stderr, byte for byte; or line by line, where each line is to have
 * something before it. What is to be said of the output goes to stderr, never among its bytes.
 */
export interface Printer {
  /** `prefix`: of the attempt that it is of. */
  print(chunk: OutputChunk, prefix: string): Promise<void>
  /** Lines that have no end yet, of an attempt. */
  finish(prefix: string): Promise<void>
  /** Of what comes of this attempt only the `tail` is printed, once it is released. Without a `tail` nothing is held. */
  hold(prefix: string): void
  release(prefix: string): Promise<void>
  say(message: string): void
}

export interface PrinterOptions {
  out: { stdout: Writable; stderr: Writable }
  only?: 'stdout' | 'stderr'
  timestamps: boolean
  /** Of attempts whose output is printed side by side. */
  prefixes: boolean
  /** Unix ms; what came before is left out. */
  since?: number
  /** Only so many of the last lines of what is held. */
  tail?: number
}

type Stream = 'stdout' | 'stderr'

interface Line {
  stream: Stream
  bytes: Buffer
}

const NEWLINE = 10

export function createPrinter(options: PrinterOptions): Printer {
  const { out, only, since = 0, timestamps, prefixes } = options
  const isByLine = timestamps || prefixes || options.tail !== undefined
  const held = new Map<string, Line[]>()
  const begun = new Map<string, Buffer>()

  const write = async ({ stream, bytes }: Line) => {
    if (bytes.length > 0 && !out[stream].write(bytes)) await once(out[stream], 'drain')
  }
  const put = async (prefix: string, line: Line) => {
    const last = held.get(prefix)
    if (!last) return write(line)
    last.push(line)
    if (last.length > (options.tail ?? 0)) last.shift()
  }
  const headOf = (at: number, prefix: string) =>
    Buffer.from(`${prefixes ? `[${prefix}] ` : ''}${timestamps ? `${new Date(at).toISOString()} ` : ''}`)
  const lines = async (stream: Stream, data: Uint8Array, { at, prefix }: { at: number; prefix: string }) => {
    const key = `${stream} ${prefix}`
    for (let from = 0; from < data.length; ) {
      const newline = data.indexOf(NEWLINE, from)
      const to = newline < 0 ? data.length : newline + 1
      const bytes = Buffer.concat([begun.get(key) ?? headOf(at, prefix), data.subarray(from, to)])
      if (newline < 0) begun.set(key, bytes)
      else {
        begun.delete(key)
        await put(prefix, { stream, bytes })
      }
      from = to
    }
  }
  const say = (message: string) => void out.stderr.write(`[shellcron: ${message}]\n`)

  return {
    say,
    async print(chunk, prefix) {
      if (chunk.stream === 'stop') return
      if (chunk.stream === 'cut' || chunk.stream === 'lost') {
        await this.finish(prefix)
        say(`${prefixes ? `${prefix}: ` : ''}${missing(chunk)}`)
        return
      }
      if (chunk.at < since || (only !== undefined && chunk.stream !== only)) return
      if (isByLine) await lines(chunk.stream, chunk.data, { at: chunk.at, prefix })
      else await write({ stream: chunk.stream, bytes: Buffer.from(chunk.data) })
    },
    async finish(prefix) {
      for (const stream of ['stdout', 'stderr'] as const) {
        const bytes = begun.get(`${stream} ${prefix}`)
        begun.delete(`${stream} ${prefix}`)
        // Side by side, another one's line must not go on where this one had no end.
        if (bytes)
          await put(prefix, { stream, bytes: prefixes ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes })
      }
    },
    hold(prefix) {
      if (options.tail !== undefined) held.set(prefix, [])
    },
    async release(prefix) {
      const lines = held.get(prefix) ?? []
      held.delete(prefix)
      for (const line of lines) await write(line)
    },
  }
}

function missing(chunk: Extract<OutputChunk, { stream: 'cut' | 'lost' }>): string {
  if (chunk.stream === 'lost')
    return `${chunk.bytes} bytes of output were lost: the spool had no room for them until they could be stored`
  const why =
    chunk.error === undefined ? 'by outputLimit' : `as the machine could not write them: ${chunk.error}`
  return `${chunk.stdout} bytes of stdout and ${chunk.stderr} of stderr were cut ${why}`
}
