import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import type { Entry } from './entry.ts'
import type { ExitRecord, ReadRequest } from './protocol.ts'
import { spoolName } from './spool.ts'
import { readSpool, type SpoolPart } from './spool-read.ts'

/** When too much is open on the machine, a spool is not lost for it: it is read a moment later. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])
const HINDERED_MS = 200
const MOST_HINDERED = 150

export interface ReadAnswer {
  type: 'read'
  seq: number
  data: string
  next: number
  end: boolean
  /** Why the spool cannot be read; there is no data then. */
  error?: string
}

/**
 * Answers a read; if nothing is there yet it waits for more, for the run's end, or as long as the reader said.
 * Of a run that is not known there is nothing.
 */
export async function answerRead(
  request: ReadRequest,
  entry: Entry | undefined,
  deps: { clock: Clock; spoolDir: string },
): Promise<ReadAnswer> {
  if (!entry) return { type: 'read', seq: request.seq, data: '', next: request.offset, end: true }
  const path = join(deps.spoolDir, spoolName(request.id))
  const latest = deps.clock.monotonic() + request.waitMs
  for (let { offset } = request; ; ) {
    const more = nextChange(entry)
    const { record } = entry
    const at = { ...request, offset }
    const part = await patiently(deps.clock, () => readSpool(path, at))
    const end = record !== undefined && isEnd(part, record, at)
    const left = latest - deps.clock.monotonic()
    const isThere = part.data.length > 0 || (request.length === 0 && part.size > offset)
    if (isThere || record || left <= 0) {
      more.drop()
      return { type: 'read', seq: request.seq, data: part.data.toString('base64'), next: part.next, end }
    }
    offset = part.next
    const stop = new AbortController()
    await Promise.race([more.promise, deps.clock.sleep(left, stop.signal).catch(() => {})])
    stop.abort()
    more.drop()
  }
}

/** Whether nothing comes after this part of what has ended. Throws at the end of a spool that is smaller than what its run wrote. */
function isEnd({ data, next, size }: SpoolPart, { stdout, stderr }: ExitRecord, asked: ReadRequest): boolean {
  // What has ended and whose next chunk is not whole has no next one.
  const isAtEnd = next >= size || (next === asked.offset && asked.length > 0)
  const isShort = size < stdout.bytes + stderr.bytes
  if (isAtEnd && isShort && data.length === 0) throw new Error(`the spool has only ${size} bytes`)
  return isAtEnd && !isShort
}

async function patiently<T>(clock: Clock, read: () => Promise<T>): Promise<T> {
  for (let hindered = 0; ; hindered++) {
    try {
      return await read()
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      if (hindered === MOST_HINDERED || !PASSING.has(code)) throw error
    }
    await clock.sleep(HINDERED_MS)
  }
}

/** Asked for before the file is read, so that what is written meanwhile is not slept through. */
function nextChange(entry: Entry) {
  const { promise, resolve } = Promise.withResolvers<void>()
  entry.readers.add(resolve)
  return { promise, drop: () => entry.readers.delete(resolve) }
}
