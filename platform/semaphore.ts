/** Lets so many work at a time; the others wait, in their order. */
export interface Semaphore {
  /** Rejects without having begun if the signal aborts before its turn; what has begun is to look at it itself. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createSemaphore(most: number): Semaphore {
  const waiting = new Set<() => void>()
  let working = 0
  const next = () => {
    const [first] = waiting
    if (first) first()
  }
  const turn = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const begin = () => {
        waiting.delete(begin)
        signal.removeEventListener('abort', leave)
        working++
        resolve()
      }
      const leave = () => {
        waiting.delete(begin)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.add(begin)
      if (working < most) next()
    })
  return {
    async run(work, signal) {
      signal.throwIfAborted()
      await turn(signal)
      try {
        return await work()
      } finally {
        working--
        next()
      }
    },
  }
}
