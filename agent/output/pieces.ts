import type { BatchPiece } from '../../core/output/batch.ts'
import { cutChunk, outputBytes } from '../../core/output/chunks.ts'
import { SpoolUnreadable } from '../launcher/answers.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { ExitRecord } from '../launcher/messages.ts'
import type { Launch } from './launch.ts'
import type { Loss } from './losses.ts'

/** What is to be told of a launch next. */

/** Of one answer of the launcher, which comes as base64 in JSON. */
const READ_BYTES = 64 * 1024
const NOTHING = new Uint8Array()

/**
 * About `bytes` of its spool, from where it is stored on; undefined: nothing is to be told now. Rejects if the launcher goes, and with
 * SpoolUnreadable when it is at the end of a spool that holds less than its run wrote: one that was deleted, or never reached the disk.
 */
export async function nextPiece(
  launch: Launch,
  launcher: Launcher,
  bytes: number,
): Promise<BatchPiece | undefined> {
  const { attempt, from, record } = launch
  if (!attempt) return undefined
  if (from === undefined) return { ...attempt, offset: 0, next: 0, chunks: NOTHING }
  const { parts, isAll } =
    record && isEmpty(record)
      ? { parts: [], isAll: true }
      : await readOn(launcher, { id: launch.id, from, bytes })
  // Of a launch whose end was seen before it was read, there is no more than what was there.
  const end = isAll && record && isComplete(record, launch.brought, parts) ? record : undefined
  if (end?.spoolError !== undefined) parts.push(unwritten(end))
  if (parts.length === 0 && !end) return undefined
  const chunks = Buffer.concat(parts)
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

async function readOn(
  launcher: Launcher,
  { id, from, bytes }: { id: string; from: number; bytes: number },
): Promise<{ parts: Uint8Array[]; isAll: boolean }> {
  const parts: Uint8Array[] = []
  for (let length = 0; length < bytes; ) {
    const part = await readPart(launcher, id, {
      offset: from + length,
      length: Math.min(READ_BYTES, bytes - length),
    })
    if (part instanceof SpoolUnreadable) {
      if (parts.length === 0) throw part
      // It is met again when what comes before it is stored.
      return { parts, isAll: false }
    }
    if (part.bytes.length === 0) return { parts, isAll: true }
    parts.push(part.bytes)
    length += part.bytes.length
    if (part.end) return { parts, isAll: true }
  }
  return { parts, isAll: false }
}

async function readPart(launcher: Launcher, id: string, at: { offset: number; length: number }) {
  try {
    return await launcher.read(id, at)
  } catch (error) {
    if (error instanceof SpoolUnreadable) return error
    throw error
  }
}

/** Whether these parts are the last, with those that were brought before. What a spool holds is brought before it is said to lack something. */
function isComplete(
  { stdout, stderr }: ExitRecord,
  brought: number | undefined,
  parts: readonly Uint8Array[],
): boolean {
  if (brought === undefined) return true
  const found = parts.reduce((sum, part) => sum + outputBytes(part), brought)
  const missing = stdout.bytes + stderr.bytes - found
  if (missing <= 0) return true
  if (parts.length === 0) throw new SpoolUnreadable(`${missing} bytes are not in the spool`)
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
