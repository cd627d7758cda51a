import { pino } from 'pino'

/** Logs events, not sentences: `log.info({ run, reason }, 'run.refused')`. Writes JSON lines to stderr; stdout is for the user's results. */
export type Log = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(bindings: Record<string, unknown>): Log
}

/** `level`: debug, info, warn, error or silent. */
export function createLog(level: string, bindings: Record<string, unknown> = {}): Log {
  return pino({ level, base: bindings, timestamp: pino.stdTimeFunctions.isoTime }, stderr())
}

/** A line that cannot be written, for example because the disk is full, is dropped. It does not end the process. */
function stderr(): pino.DestinationStream {
  let to: pino.DestinationStream
  const open = () => {
    to = pino.destination({ fd: 2, sync: true }).on('error', open)
  }
  open()
  return { write: line => to.write(line) }
}

export const silentLog: Log = createLog('silent')
