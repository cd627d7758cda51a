import type { ExitRecord } from '../launcher/messages.ts'

/** What a result says beside its outcome. Times are Unix ms. */
export interface EndFacts {
  startedAt?: number
  endedAt?: number
  /** The last bytes of the output. */
  tail?: string
  message?: string
}

export function endFactsOf(record: ExitRecord): EndFacts {
  const { startedAt, endedAt, tail } = record
  const message = cutMessage(record)
  return {
    ...(startedAt === null ? {} : { startedAt }),
    endedAt,
    ...(tail ? { tail } : {}),
    ...(message ? { message } : {}),
  }
}

function cutMessage({ stdout, stderr, spoolError }: ExitRecord): string | undefined {
  if (stdout.cut + stderr.cut === 0) return undefined
  const why = spoolError === undefined ? 'by outputLimit' : `because the disk refused them: ${spoolError}`
  return `${stdout.cut} bytes of stdout and ${stderr.cut} of stderr were cut ${why}`
}
