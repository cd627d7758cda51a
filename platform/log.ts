import { pino } from 'pino'

/** Events, not sentences: `log.info({ run, reason }, 'run.refused')`. To stderr, as JSON lines: stdout belongs to what the user asked for. */
export type Log = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(bindings: Record<string, unknown>): Log
}

/** `level`: debug, info, warn, error or silent. */
export function createLog(level: string, bindings: Record<string, unknown> = {}): Log {
  return pino({ level, base: bindings, timestamp: pino.stdTimeFunctions.isoTime }, stderr())
}

/** A line that cannot be written, as to a file on a full disk, is left out: it does not end the process, and is not kept either. */
function stderr(): pino.DestinationStream {
  let to: pino.DestinationStream
  const open = () => {
    to = pino.destination({ fd: 2, sync: true }).on('error', open)
  }
  open()
  return { write: line => to.write(line) }
}

export const silentLog: Log = createLog('silent')
