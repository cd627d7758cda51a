import { redact } from '../../core/output/redact.ts'
import type { ExitRecord } from '../launcher/messages.ts'
import { redactNote } from './container-command.ts'

/** The launcher's tail has at most this many bytes of output. */
const TAIL_BYTES = 512
/** A tail that was cut between characters can be shorter by this. */
const CHARACTER_BYTES = 4
const WITHHELD = '(output withheld: its Secrets changed during the run, so it cannot be redacted)'

/**
 * A record with the values of Secrets redacted from its tail and messages. `secrets` undefined: the values are no longer known, so both are
 * withheld. The output in the spool stays as it is.
 */
export function redactRecord(record: ExitRecord, secrets: readonly string[] | undefined): ExitRecord {
  const { cause, tail, told, leftovers } = record
  const show = (text: string, cut = false) => {
    if (secrets) return redact(text, secrets, { cut })
    return text === '' ? '' : WITHHELD
  }
  return {
    ...record,
    ...(told === undefined ? {} : { told: redactNote(told, show) }),
    ...(leftovers === undefined
      ? {}
      : { leftovers: { ...leftovers, processes: leftovers.processes.map(name => show(name)) } }),
    cause: cause.kind === 'startFailed' ? { ...cause, message: show(cause.message) } : cause,
    tail: show(tail, isCut(record)),
  }
}

/** Whether the tail lacks the beginning of the output. Invalid UTF-8 grows in the tail, so the counts alone do not tell. */
function isCut({ stdout, stderr, tail }: ExitRecord): boolean {
  const written = stdout.bytes + stdout.cut + stderr.bytes + stderr.cut
  return written > TAIL_BYTES || Buffer.byteLength(tail) > TAIL_BYTES - CHARACTER_BYTES
}
