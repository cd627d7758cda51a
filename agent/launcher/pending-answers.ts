import type { FromLauncher, LauncherRun } from './messages.ts'

type RunsAnswer = Extract<FromLauncher, { type: 'runs' }>
type ReadAnswer = Extract<FromLauncher, { type: 'read' }>

interface Waiting {
  runs: LauncherRun[]
  resolve(answer: RunsAnswer | ReadAnswer): void
  reject(error: unknown): void
}

/** The launcher cannot read the spool of a run. The launcher and its other runs are not affected. */
export class SpoolUnreadable extends Error {}

/** Matches answers to requests by sequence number. */
export class PendingAnswers {
  readonly #waiting = new Map<number, Waiting>()
  #seq = 0
  #failure: Error | undefined

  /** `send` sends the request with the given sequence number. Rejects if the connection ends or the signal aborts. */
  async ask(send: (seq: number) => void, signal?: AbortSignal): Promise<LauncherRun[]> {
    const answer = await this.#wait(send, signal)
    return answer.type === 'runs' ? answer.runs : []
  }

  /** As `ask`. Also rejects with SpoolUnreadable. */
  async askRead(send: (seq: number) => void, signal?: AbortSignal): Promise<ReadAnswer> {
    const answer = await this.#wait(send, signal)
    if (answer.type !== 'read') throw new Error(`a read was answered by ${answer.type}`)
    if (answer.error !== undefined) throw new SpoolUnreadable(answer.error)
    return answer
  }

  /** Ignores an answer to a request that is no longer pending. */
  take(answer: RunsAnswer | ReadAnswer) {
    const waiting = this.#waiting.get(answer.seq)
    if (!waiting) return
    if (answer.type === 'runs') {
      waiting.runs.push(...answer.runs)
      if (answer.more) return
      waiting.resolve({ ...answer, runs: waiting.runs })
    } else waiting.resolve(answer)
    this.#waiting.delete(answer.seq)
  }

  /** Rejects all pending and later requests. */
  fail(error: Error) {
    this.#failure = error
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }

  async #wait(send: (seq: number) => void, signal?: AbortSignal): Promise<RunsAnswer | ReadAnswer> {
    signal?.throwIfAborted()
    if (this.#failure) throw this.#failure
    const seq = ++this.#seq
    const { promise, resolve, reject } = Promise.withResolvers<RunsAnswer | ReadAnswer>()
    const onAbort = () => {
      this.#waiting.delete(seq)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#waiting.set(seq, { runs: [], resolve, reject })
    send(seq)
    return promise.finally(() => signal?.removeEventListener('abort', onAbort))
  }
}
