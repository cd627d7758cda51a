/** Limits concurrency: at most `permits` tasks run at a time, the others wait in order. */
export interface Semaphore {
  /** Runs `work` with a permit. If the signal aborts first, rejects without starting it. Once started, `work` watches the signal itself. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createSemaphore(permits: number): Semaphore {
  const waiting = new Set<() => void>()
  let held = 0
  const next = () => {
    const [first] = waiting
    if (first) first()
  }
  const acquire = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const begin = () => {
        waiting.delete(begin)
        signal.removeEventListener('abort', leave)
        held++
        resolve()
      }
      const leave = () => {
        waiting.delete(begin)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.add(begin)
      if (held < permits) next()
    })
  return {
    async run(work, signal) {
      signal.throwIfAborted()
      await acquire(signal)
      try {
        return await work()
      } finally {
        held--
        next()
      }
    },
  }
}
