import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { OutputChunk } from '../../core/output/chunks.ts'
import { escapeControls } from '../escape-controls.ts'
import { createLastLines } from './last-lines.ts'
import { createLineSplitter, type Line } from './line-splitter.ts'

/**
 * Prints output: stdout to stdout, stderr to stderr, byte for byte; or line by line, if each line starts with a time or a prefix.
 * Notices about the output go to stderr, never among its bytes.
 */
export interface Printer {
  /** `prefix`: the id of the attempt's run. */
  print(chunk: OutputChunk, prefix: string): Promise<void>
  /** Prints the incomplete lines of an attempt. */
  finish(prefix: string): Promise<void>
  /** Until the attempt is released, only its last lines are kept, if there is a `tail`. */
  hold(prefix: string): void
  release(prefix: string): Promise<void>
  say(message: string): void
}

export interface PrinterOptions {
  out: { stdout: Writable; stderr: Writable }
  only?: 'stdout' | 'stderr'
  timestamps: boolean
  /** Each line starts with the id of its run: for attempts that are printed side by side. */
  prefixes: boolean
  /** Unix ms: earlier output is left out. */
  since?: number
  /** How many of the last lines of a held attempt are printed. */
  tail?: number
}

export function createPrinter(options: PrinterOptions): Printer {
  const { out, only, since = 0, timestamps, prefixes, tail } = options
  const isByLine = timestamps || prefixes || tail !== undefined
  const splitter = createLineSplitter(options)
  const lastLines = createLastLines(tail, async ({ stream, bytes }: Line) => {
    if (bytes.length > 0 && !out[stream].write(bytes)) await once(out[stream], 'drain')
  })
  const say = (message: string) => void out.stderr.write(`[shellcron: ${escapeControls(message)}]\n`)
  const finish = async (prefix: string) => {
    for (const line of splitter.incomplete(prefix)) await lastLines.put(line, prefix)
  }
  return {
    say,
    finish,
    hold: prefix => lastLines.hold(prefix),
    release: prefix => lastLines.release(prefix),
    async print(chunk, prefix) {
      if (chunk.stream === 'stop') return
      if (chunk.stream === 'cut' || chunk.stream === 'lost') {
        await finish(prefix)
        say(`${prefixes ? `${prefix}: ` : ''}${missing(chunk)}`)
        return
      }
      const { stream, data, at } = chunk
      if (at < since || (only !== undefined && stream !== only)) return
      const lines = isByLine ? splitter.split(chunk, prefix) : [{ stream, bytes: Buffer.from(data) }]
      for (const line of lines) await lastLines.put(line, prefix)
    },
  }
}

function missing(chunk: Extract<OutputChunk, { stream: 'cut' | 'lost' }>): string {
  if (chunk.stream === 'lost')
    return `${chunk.bytes} bytes of output were lost: the agent's spool was full before the operator had stored them`
  const why =
    chunk.error === undefined ? 'by outputLimit' : `because the machine could not write them: ${chunk.error}`
  return `${chunk.stdout} bytes of stdout and ${chunk.stderr} of stderr were cut ${why}`
}
