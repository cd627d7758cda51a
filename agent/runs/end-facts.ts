import type { ExitRecord } from '../launcher/messages.ts'
import { ranOutOfMemory } from './container-command.ts'

/** What a result says beside its outcome. Times are Unix ms. */
export interface EndFacts {
  startedAt?: number
  endedAt?: number
  /** The last bytes of the output. */
  tail?: string
  message?: string
  /** What went wrong besides the outcome, as reasons of Events. */
  warnings?: string[]
}

const MEANING = {
  OOMKilled: 'a process was killed because memory ran out',
  PidsLimit: 'a process could not be started because of the limit of processes',
}

export function endFactsOf(record: ExitRecord): EndFacts {
  const { startedAt, endedAt, tail } = record
  const warnings = warningsOf(record)
  const messages = [
    ...warnings.map(warning => MEANING[warning]),
    leftoversMessage(record),
    cutMessage(record),
  ]
  const message = messages.filter(Boolean).join('; ')
  return {
    ...(startedAt === null ? {} : { startedAt }),
    endedAt,
    ...(tail ? { tail } : {}),
    ...(message ? { message } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  }
}

function warningsOf(record: ExitRecord): (keyof typeof MEANING)[] {
  return [
    ...(ranOutOfMemory(record) ? (['OOMKilled'] as const) : []),
    ...(record.pidsRefused ? (['PidsLimit'] as const) : []),
  ]
}

/** Which processes outlived the script. A container's helper says so in its own message. */
function leftoversMessage({ leftovers }: ExitRecord): string | undefined {
  if (!leftovers) return undefined
  const { count, processes, left } = leftovers
  const which = processes.join(', ') + (count > processes.length ? ', …' : '')
  const many = count === 1 ? '1 process' : `${count} processes`
  const what = left
    ? `${count === 1 ? 'goes' : 'go'} on (leftovers: Leave)`
    : `${count === 1 ? 'was' : 'were'} ended (leftovers: Kill)`
  return `${many} outlived the script and ${what}: ${which}`
}

function cutMessage({ stdout, stderr, spoolError }: ExitRecord): string | undefined {
  if (stdout.cut + stderr.cut === 0) return undefined
  const why = spoolError === undefined ? 'by outputLimit' : `because the disk refused them: ${spoolError}`
  return `${stdout.cut} bytes of stdout and ${stderr.cut} of stderr were cut ${why}`
}
