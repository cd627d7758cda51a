import { redact } from '../../core/output/redact.ts'
import type { ExitRecord } from '../launcher/messages.ts'
import { redactNote } from './container-command.ts'

/** Bytes of output that a launcher's tail has at most. */
const TAIL_BYTES = 512
/** A tail that was cut at a character is this much shorter. */
const CHARACTER_BYTES = 4
const WITHHELD =
  '(not shown: the Secrets that this command was started with have changed since, so that nobody can tell whether it says them)'

/**
 * A record as others may see it: what its output and its messages say of these values is masked. undefined: nobody knows the values any
 * more, and nothing of either is shown. The output itself, in the spool, stays as it came.
 */
export function redactRecord(record: ExitRecord, secrets: readonly string[] | undefined): ExitRecord {
  const { cause, tail, told } = record
  const show = (text: string, cut = false) => {
    if (secrets) return redact(text, secrets, { cut })
    return text === '' ? '' : WITHHELD
  }
  return {
    ...record,
    ...(told === undefined ? {} : { told: redactNote(told, show) }),
    cause: cause.kind === 'startFailed' ? { ...cause, message: show(cause.message) } : cause,
    tail: show(tail, isCut(record)),
  }
}

/** Bytes that are no text have become more in the tail, so that the counts alone do not tell. */
function isCut({ stdout, stderr, tail }: ExitRecord): boolean {
  const written = stdout.bytes + stdout.cut + stderr.bytes + stderr.cut
  return written > TAIL_BYTES || Buffer.byteLength(tail) > TAIL_BYTES - CHARACTER_BYTES
}
