import type { Clock } from '../platform/clock.ts'
import { messageOf, Unavailable } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'

/**
 * A keyed work queue. A key that is added while it waits is worked on once, while it is worked on once more afterwards; never twice
 * at a time. Only here is decided about retries: whatever is thrown, the key comes again, later each time.
 *
 *   add ─▶ waiting ─▶ working ─▶ done        (added meanwhile ─▶ waiting)
 *            ▲           └─ threw, or asked to come again ─▶ sleeping ─┐
 *            └────────────────────────────────────────────────────────┘
 */
export interface Queue {
  add(key: string): void
  /** Not before `ms` from now; an earlier wish stays. */
  addAfter(key: string, ms: number): void
  /** Keys that wait or are worked on; those that sleep until a retry are not counted. */
  readonly depth: number
  /** Works until the signal aborts; resolves when nothing is in work any more. */
  run(signal: AbortSignal): Promise<void>
}

/** When to come again even if nothing changes, ms from now; undefined: never. */
export type Again = { inMs: number } | undefined

export interface QueueOptions {
  name: string
  concurrency: number
  clock: Clock
  log: Log
  reconcile(key: string, signal: AbortSignal): Promise<Again>
}

const FIRST_BACKOFF_MS = 50
const LONGEST_BACKOFF_MS = 60_000

/** What was planned on has changed meanwhile: looked at again at once, and no reason to worry. */
export class Stale extends Unavailable {
  override readonly name = 'Stale'
}

export function createQueue(options: QueueOptions): Queue {
  return new WorkQueue(options)
}

class WorkQueue implements Queue {
  readonly #options: QueueOptions
  readonly #waiting = new Set<string>()
  readonly #working = new Set<string>()
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  readonly #sleeping = new Map<string, { until: number; stop: AbortController }>()
  #wake: (() => void) | undefined

  constructor(options: QueueOptions) {
    this.#options = options
  }

  get depth(): number {
    return this.#waiting.size + this.#working.size
  }

  add(key: string): void {
    this.#sleeping.get(key)?.stop.abort()
    this.#sleeping.delete(key)
    if (this.#working.has(key)) this.#again.add(key)
    else this.#waiting.add(key)
    this.#wake?.()
  }

  addAfter(key: string, ms: number): void {
    if (this.#waiting.has(key) || this.#again.has(key)) return
    const { clock } = this.#options
    const until = clock.monotonic() + ms
    const sleeping = this.#sleeping.get(key)
    if (sleeping && sleeping.until <= until) return
    sleeping?.stop.abort()
    const stop = new AbortController()
    this.#sleeping.set(key, { until, stop })
    void clock.sleep(ms, stop.signal).then(
      () => {
        this.#sleeping.delete(key)
        this.add(key)
      },
      () => undefined,
    )
  }

  async run(signal: AbortSignal): Promise<void> {
    const inWork = new Set<Promise<void>>()
    const onAbort = () => this.#wake?.()
    signal.addEventListener('abort', onAbort)
    while (!signal.aborted) {
      const [key] = inWork.size < this.#options.concurrency ? this.#waiting : []
      if (key === undefined) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
        this.#wake = undefined
        continue
      }
      this.#waiting.delete(key)
      const work: Promise<void> = this.#work(key, signal).finally(() => {
        inWork.delete(work)
        this.#wake?.()
      })
      inWork.add(work)
    }
    signal.removeEventListener('abort', onAbort)
    for (const { stop } of this.#sleeping.values()) stop.abort()
    this.#sleeping.clear()
    await Promise.all(inWork)
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    this.#working.add(key)
    let again: Again
    try {
      again = await this.#options.reconcile(key, signal)
      this.#failures.delete(key)
    } catch (error) {
      again = signal.aborted ? undefined : this.#failed(key, error)
    }
    this.#working.delete(key)
    if (this.#again.delete(key)) this.add(key)
    else if (again && !signal.aborted) this.addAfter(key, again.inMs)
  }

  #failed(key: string, error: unknown): { inMs: number } {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const inMs = Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 20), LONGEST_BACKOFF_MS)
    const { log, name } = this.#options
    const facts = { queue: name, key, failures, inMs, error: messageOf(error) }
    if (error instanceof Stale) log.debug(facts, 'reconcile.stale')
    else if (error instanceof Unavailable) log.warn(facts, 'reconcile.unavailable')
    else log.error({ ...facts, stack: error instanceof Error ? error.stack : undefined }, 'reconcile.failed')
    return { inMs }
  }
}
