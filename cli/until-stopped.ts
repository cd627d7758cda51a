/**
 * A signal that aborts on Ctrl-C and SIGTERM, for an orderly end. A second Ctrl-C ends the process at once. The handlers are installed
 * on first use, so that other commands keep the default.
 */
let stop: AbortController | undefined

export function untilStopped(): AbortSignal {
  if (!stop) {
    const own = new AbortController()
    stop = own
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        if (own.signal.aborted) process.exit(130)
        own.abort(new Error(name))
      })
    }
  }
  return stop.signal
}
