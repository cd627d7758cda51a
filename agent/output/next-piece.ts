import type { BatchPiece } from '../../core/output/batch.ts'
import { cutChunk, outputBytes } from '../../core/output/chunks.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { ExitRecord } from '../launcher/messages.ts'
import { SpoolUnreadable } from '../launcher/pending-answers.ts'
import type { BatchBuffer } from './batch-buffer.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'

/** What is to be told of a launch next. */

/** Of one answer of the launcher, which comes as base64 in JSON. */
const READ_BYTES = 64 * 1024
const NOTHING = new Uint8Array()

/**
 * About `bytes` of its spool, from where it is stored on, gathered in `room`; undefined: nothing is to be told now. Rejects if the launcher
 * goes, and with SpoolUnreadable when it is at the end of a spool that holds less than its run wrote: one that was deleted, or never reached
 * the disk.
 */
export async function nextPiece(
  launch: Launch,
  launcher: Launcher,
  { bytes, room }: { bytes: number; room: BatchBuffer },
): Promise<BatchPiece | undefined> {
  const { attempt, storedOffset: from, record } = launch
  if (!attempt) return undefined
  if (from === undefined) return { ...attempt, offset: 0, next: 0, chunks: NOTHING }
  const { chunks: read, isAll } =
    record && isEmpty(record)
      ? { chunks: NOTHING, isAll: true }
      : await readOn(launcher, { id: launch.id, from, bytes, room })
  // Of a launch whose end was seen before it was read, there is no more than what was there.
  const end = isAll && record && isComplete(record, launch.storedBytes, read) ? record : undefined
  const chunks = end?.spoolError === undefined ? read : Buffer.concat([read, unwritten(end)])
  if (chunks.length === 0 && !end) return undefined
  return { ...attempt, offset: from, next: from + chunks.length, chunks, ...(end ? { end: true } : {}) }
}

export function pieceOfLoss(loss: Loss): BatchPiece {
  const { uid, run, attempt, namespace, name, total, cut, at } = loss
  const chunks = cut ? cutChunk({ at, ...cut }) : NOTHING
  return { uid, run, attempt, namespace, name, offset: 0, next: 0, chunks, total, end: true }
}

/** undefined: it wrote nothing that could be lost. */
export function lossOf({ id, attempt, record }: Launch): Loss | undefined {
  if (!attempt || !record) return undefined
  const { stdout, stderr, endedAt, spoolError } = record
  const cut = isCut(record)
    ? { stdout: stdout.cut, stderr: stderr.cut, ...(spoolError === undefined ? {} : { error: spoolError }) }
    : undefined
  if (isEmpty(record)) return undefined
  const total = stdout.bytes + stderr.bytes
  return { launch: id, ...attempt, total, ...(cut ? { cut } : {}), at: endedAt }
}

interface Reading {
  id: string
  from: number
  bytes: number
  room: BatchBuffer
}

async function readOn(
  launcher: Launcher,
  { id, from, bytes, room }: Reading,
): Promise<{ chunks: Uint8Array; isAll: boolean }> {
  const gathered = gathering(bytes > READ_BYTES ? room.take(bytes + READ_BYTES) : undefined)
  for (let length = 0; length < bytes; length = gathered.all().length) {
    const part = await readPart(launcher, id, {
      offset: from + length,
      length: Math.min(READ_BYTES, bytes - length),
    })
    if (part instanceof SpoolUnreadable) {
      if (length === 0) throw part
      // It is met again when what comes before it is stored.
      return { chunks: gathered.all(), isAll: false }
    }
    const isThere = part.bytes.length > 0
    if (isThere && !gathered.add(part.bytes)) break
    if (!isThere || part.end) return { chunks: gathered.all(), isAll: true }
  }
  return { chunks: gathered.all(), isAll: false }
}

/** Parts behind one another in `space`; `add` answers whether there was room. Of one part there always is. */
function gathering(space: Buffer | undefined): { add(part: Uint8Array): boolean; all(): Uint8Array } {
  let all: Uint8Array = NOTHING
  return {
    add(part) {
      const end = all.length + part.length
      const fits = space !== undefined && end <= space.length
      if (!fits && all.length > 0) return false
      if (fits) space.set(part, all.length)
      all = fits ? space.subarray(0, end) : part
      return true
    },
    all: () => all,
  }
}

async function readPart(launcher: Launcher, id: string, at: { offset: number; length: number }) {
  try {
    return await launcher.read(id, at)
  } catch (error) {
    if (error instanceof SpoolUnreadable) return error
    throw error
  }
}

/** Whether these chunks are the last, with those that were brought before. What a spool holds is brought before it is said to lack something. */
function isComplete(
  { stdout, stderr }: ExitRecord,
  brought: number | undefined,
  chunks: Uint8Array,
): boolean {
  if (brought === undefined) return true
  const missing = stdout.bytes + stderr.bytes - brought - outputBytes(chunks)
  if (missing <= 0) return true
  if (chunks.length === 0) throw new SpoolUnreadable(`${missing} bytes are not in the spool`)
  return false
}

function isEmpty(record: ExitRecord): boolean {
  return record.stdout.bytes + record.stderr.bytes === 0 && !isCut(record)
}

function isCut({ stdout, stderr }: ExitRecord): boolean {
  return stdout.cut + stderr.cut > 0
}

/** A launcher whose disk refused the output could not write the mark either. */
function unwritten({ endedAt, stdout, stderr, spoolError }: ExitRecord): Uint8Array {
  return cutChunk({ at: endedAt, stdout: stdout.cut, stderr: stderr.cut, error: spoolError })
}
