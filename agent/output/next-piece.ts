import type { BatchPiece } from '../../core/output/batch.ts'
import { cutChunk, outputBytes } from '../../core/output/chunks.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { ExitRecord } from '../launcher/messages.ts'
import { SpoolUnreadable } from '../launcher/pending-answers.ts'
import type { BatchBuffer } from './batch-buffer.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './loss-file.ts'

/** Size of one read. The launcher answers with base64 in JSON. */
const READ_BYTES = 64 * 1024
const NOTHING = new Uint8Array()

/**
 * Reads about `bytes` of the launch's spool into `buffer`, from the stored position on. Returns undefined if there is nothing to send now.
 * Rejects if the connection to the launcher ends. Rejects with SpoolUnreadable at the end of a spool that holds less than its run wrote: the
 * spool was deleted, or a part of it never reached the disk.
 */
export async function nextPiece(
  launch: Launch,
  launcher: Launcher,
  { bytes, buffer }: { bytes: number; buffer: BatchBuffer },
): Promise<BatchPiece | undefined> {
  const { attempt, storedOffset: offset, record } = launch
  if (!attempt) return undefined
  if (offset === undefined) return { ...attempt, offset: 0, next: 0, chunks: NOTHING }
  const { chunks: read, isAll } =
    record && isEmpty(record)
      ? { chunks: NOTHING, isAll: true }
      : await readSpool(launcher, { id: launch.id, offset, bytes, buffer })
  // The run had ended before this read, so nothing follows the end that the read reached.
  const end = isAll && record && isComplete(record, launch.storedBytes, read) ? record : undefined
  const chunks = end?.spoolError === undefined ? read : Buffer.concat([read, missingCutMark(end)])
  if (chunks.length === 0 && !end) return undefined
  return { ...attempt, offset, next: offset + chunks.length, chunks, ...(end ? { end: true } : {}) }
}

export function pieceOfLoss(loss: Loss): BatchPiece {
  const { uid, run, attempt, namespace, name, total, cut, at } = loss
  const chunks = cut ? cutChunk({ at, ...cut }) : NOTHING
  return { uid, run, attempt, namespace, name, offset: 0, next: 0, chunks, total, end: true }
}

/** undefined: the launch wrote nothing, or it has not ended, or it belongs to no attempt. */
export function lossOf({ id, attempt, record }: Launch): Loss | undefined {
  if (!attempt || !record || isEmpty(record)) return undefined
  const { stdout, stderr, endedAt, spoolError } = record
  const cut = isCut(record)
    ? { stdout: stdout.cut, stderr: stderr.cut, ...(spoolError === undefined ? {} : { error: spoolError }) }
    : undefined
  const total = stdout.bytes + stderr.bytes
  return { launch: id, ...attempt, total, ...(cut ? { cut } : {}), at: endedAt }
}

interface SpoolRead {
  id: string
  offset: number
  bytes: number
  buffer: BatchBuffer
}

/** `isAll`: the read reached the end of what the spool holds. */
async function readSpool(
  launcher: Launcher,
  { id, offset, bytes, buffer }: SpoolRead,
): Promise<{ chunks: Uint8Array; isAll: boolean }> {
  const parts = joinParts(bytes > READ_BYTES ? buffer.take(bytes + READ_BYTES) : undefined)
  for (let length = 0; length < bytes; length = parts.all().length) {
    const part = await readPart(launcher, id, {
      offset: offset + length,
      length: Math.min(READ_BYTES, bytes - length),
    })
    if (part instanceof SpoolUnreadable) {
      if (length === 0) throw part
      // First send the part before the error. The next read then starts at the error and throws.
      return { chunks: parts.all(), isAll: false }
    }
    const hasBytes = part.bytes.length > 0
    if (hasBytes && !parts.add(part.bytes)) break
    if (!hasBytes || part.end) return { chunks: parts.all(), isAll: true }
  }
  return { chunks: parts.all(), isAll: false }
}

/** Joins parts in `memory`. `add` returns false if a part does not fit. A single part always fits, even without memory. */
function joinParts(memory: Buffer | undefined): { add(part: Uint8Array): boolean; all(): Uint8Array } {
  let all: Uint8Array = NOTHING
  return {
    add(part) {
      const end = all.length + part.length
      const fits = memory !== undefined && end <= memory.length
      if (!fits && all.length > 0) return false
      if (fits) memory.set(part, all.length)
      all = fits ? memory.subarray(0, end) : part
      return true
    },
    all: () => all,
  }
}

async function readPart(launcher: Launcher, id: string, range: { offset: number; length: number }) {
  try {
    return await launcher.read(id, range)
  } catch (error) {
    if (error instanceof SpoolUnreadable) return error
    throw error
  }
}

/**
 * Whether `chunks`, after the `storedBytes` before them, are the rest of the output. Throws SpoolUnreadable if output is missing and nothing
 * is left to send before the gap.
 */
function isComplete(
  { stdout, stderr }: ExitRecord,
  storedBytes: number | undefined,
  chunks: Uint8Array,
): boolean {
  if (storedBytes === undefined) return true
  const missing = stdout.bytes + stderr.bytes - storedBytes - outputBytes(chunks)
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

/** The launcher could not write this mark itself, because its disk rejected the output. */
function missingCutMark({ endedAt, stdout, stderr, spoolError }: ExitRecord): Uint8Array {
  return cutChunk({ at: endedAt, stdout: stdout.cut, stderr: stderr.cut, error: spoolError })
}
