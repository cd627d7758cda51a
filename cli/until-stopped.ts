/** Ctrl-C and SIGTERM ask for an orderly end; the second one ends at once. Made on first use, so that other commands just die. */
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
