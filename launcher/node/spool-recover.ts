import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { Output } from './protocol.ts'
import { chunksIn, HEADER_BYTES, KIND } from './spool-format.ts'
import { TAIL_BYTES, Tail } from './tail.ts'

/** What an earlier launcher had written of a run's output may be a gigabyte: none of it is read but what is asked for. */

/** The longest chunk that a launcher writes. */
const LONGEST_WRITTEN = HEADER_BYTES + 64 * 1024
/** Holds a chunk's beginning in its first third, and more than a tail behind that. */
const WINDOW_BYTES = 3 * LONGEST_WRITTEN
/** Read at once on the way from header to header. */
const STEP_BYTES = 4 * 1024
const LONGEST_MARK = 64 * 1024
/** Each has a byte at least. */
const MOST_EXTENTS = TAIL_BYTES + 1
/** The clock may have been set while it ran. */
const CLOCK_SLACK_MS = 60_000

/** Of a run that ran between these instants, Unix ms. */
export function recoverTail(path: string, { from, to }: { from: number; to: number }): string {
  return withFile(path, '', (fd, size) => {
    const start = Math.max(size - WINDOW_BYTES, 0)
    const bytes = read(fd, start, size - start)
    if (start === 0) return tailIn(bytes)
    const first = firstChunk(bytes, from - CLOCK_SLACK_MS, to + CLOCK_SLACK_MS)
    return first === undefined ? walk(fd, size).tail : tailIn(bytes.subarray(first))
  })
}

/** Counts what is there, and finds its tail. */
export function recoverOutput(path: string): Output {
  return withFile(path, { stdout: { bytes: 0, cut: 0 }, stderr: { bytes: 0, cut: 0 }, tail: '' }, walk)
}

/**
 * Where in the end of a spool its first whole chunk begins; undefined: that is not to be told. Chunks are framed forward only. But from a
 * chunk's beginning a row of chunks leads to the very end, and what looks so within a chunk, as in a spool that somebody prints, is not of
 * this time.
 */
function firstChunk(bytes: Buffer, from: number, to: number): number | undefined {
  const leads = new Uint8Array(bytes.length + 1)
  leads[bytes.length] = 1
  for (let at = bytes.length - HEADER_BYTES - 1; at >= 0; at--) {
    const kind = bytes[at] ?? 0
    if (kind < KIND.stdout || kind > KIND.cut) continue
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 9)
    if (!leads[end]) continue
    const time = bytes.readBigUInt64BE(at + 1)
    if (time >= from && time <= to) leads[at] = 1
  }
  const first = leads.indexOf(1)
  return first >= 0 && first < LONGEST_WRITTEN ? first : undefined
}

/** Of the end of a spool, which begins at a chunk. */
function tailIn(bytes: Buffer): string {
  const tail = new Tail()
  let marked: string | undefined
  for (const { kind, from, to } of chunksIn(bytes)) {
    const data = bytes.subarray(from + HEADER_BYTES, to)
    if (kind === KIND.cut) marked = markedTail(data)
    else if (kind === KIND.stdout || kind === KIND.stderr) tail.push(data)
  }
  return marked ?? tail.text()
}

/** A power cut may have damaged it: then it says nothing. */
function markedTail(mark: Buffer): string | undefined {
  try {
    const { tail } = JSON.parse(mark.toString()) as { tail?: unknown }
    return typeof tail === 'string' ? tail : undefined
  } catch {
    return undefined
  }
}

/** Where a chunk's data lies. */
interface Extent {
  from: number
  length: number
}

/** Goes from header to header, and reads nothing else but the last data. */
function walk(fd: number, size: number): Output {
  const counts = { stdout: { bytes: 0, cut: 0 }, stderr: { bytes: 0, cut: 0 } }
  const last = new LastExtents()
  let marked: string | undefined
  for (const { kind, ...data } of chunksOf(fd, size)) {
    const stream = kind === KIND.stdout ? 'stdout' : kind === KIND.stderr ? 'stderr' : undefined
    if (stream) {
      counts[stream].bytes += data.length
      last.push(data)
    } else if (kind === KIND.cut && data.length <= LONGEST_MARK)
      marked = markedTail(read(fd, data.from, data.length))
  }
  return { ...counts, tail: marked ?? last.tail(fd) }
}

/** Many headers are read at once where chunks are small. */
function* chunksOf(fd: number, size: number): Generator<Extent & { kind: number }> {
  let bytes: Buffer = Buffer.alloc(0)
  for (let at = 0, begin = 0; at + HEADER_BYTES <= size; ) {
    if (at + HEADER_BYTES > begin + bytes.length) {
      bytes = read(fd, at, STEP_BYTES)
      begin = at
      if (bytes.length < HEADER_BYTES) return
    }
    const kind = bytes.readUInt8(at - begin)
    const length = bytes.readUInt32BE(at - begin + 9)
    const from = at + HEADER_BYTES
    at = from + length
    if (at > size) return
    yield { kind, from, length }
  }
}

/** With more than a tail in them if there is more. */
class LastExtents {
  #all: Extent[] = []

  push(extent: Extent) {
    this.#all.push(extent)
    // Not each time: there may be millions.
    if (this.#all.length > 2 * MOST_EXTENTS) this.#all = this.#all.slice(-MOST_EXTENTS)
  }

  tail(fd: number): string {
    const tail = new Tail()
    for (const { from, length } of this.#all.slice(-MOST_EXTENTS)) {
      const over = Math.max(length - TAIL_BYTES - 1, 0)
      tail.push(read(fd, from + over, length - over))
    }
    return tail.text()
  }
}

function read(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, from))
}

/** One that cannot be read is as empty: whoever reads it later is told why. */
function withFile<T>(path: string, empty: T, look: (fd: number, size: number) => T): T {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    return look(fd, fstatSync(fd).size)
  } catch {
    return empty
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
