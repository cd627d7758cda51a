import { Alarms } from './alarms.ts'
import { type Backoff, createBackoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { messageOf, Unavailable } from './errors.ts'
import type { Log } from './log.ts'

/**
 * A keyed work queue, as in Kubernetes' client-go. A key that is added several times while it waits is reconciled once. A key that is added
 * while it is reconciled is reconciled again afterwards. No key is reconciled twice at a time. Only the queue decides about retries: after a
 * fault the key comes back, with exponential backoff.
 *
 *   add ─▶ waiting ─▶ working ─▶ done        (added meanwhile ─▶ waiting)
 *            ▲           └─ threw, or asked to come back ─▶ sleeping ─┐
 *            └────────────────────────────────────────────────────────┘
 *
 * One timer serves all sleeping keys, however many they are.
 */
export interface Queue {
  add(key: string): void
  /** Adds the key at this instant of the queue's clock. If it is already set to come earlier, that stays. */
  addAt(key: string, at: number): void
  /** Adds the key after `ms`. If it is already set to come earlier, that stays. */
  addAfter(key: string, ms: number): void
  /** Removes a sleeping or waiting key. */
  remove(key: string): void
  /** Ends the backoff of all keys that have failed: what they failed for is there again. */
  retryFailed(): void
  /** Whether the key sleeps, waits or is reconciled. */
  has(key: string): boolean
  /** How many keys wait or are reconciled. Sleeping keys do not count. */
  readonly depth: number
  /** How many keys sleep. */
  readonly sleeping: number
  /** Reconciles keys until the signal aborts. Resolves when no work is left in progress. */
  run(signal: AbortSignal): Promise<void>
}

/** When the key comes back even if it is not added, ms from now. undefined: it does not. */
export type Again = { inMs: number } | undefined
/** The same, or at an instant of the queue's clock. */
export type ComeBack = Again | { at: number }

export interface QueueOptions {
  name: string
  /** How many keys are reconciled at a time. */
  concurrency: number
  clock: Clock
  /** The queue's clock: `monotonic` (the default) for delays, `wall` for instants of the calendar, in ms since the epoch. */
  time?: 'monotonic' | 'wall'
  log: Log
  reconcile(key: string, signal: AbortSignal): Promise<ComeBack>
  /** Delays after failures in a row; the default is 50 ms, doubling to a minute. */
  backoff?: Backoff
  /** A fault that a retry cannot fix, such as invalid input. The key is not retried until it is added again. */
  isFinal?(error: unknown): boolean
}

const defaultBackoff = createBackoff({ firstMs: 50, longestMs: 60_000 })

/** The state changed after the work was planned. It is retried soon, and logged at debug level only. */
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
  readonly #alarms: Alarms
  #wake: (() => void) | undefined

  constructor(options: QueueOptions) {
    this.#options = options
    const { clock, time = 'monotonic' } = options
    this.#alarms = new Alarms(clock, { time, onDue: keys => this.#addAll(keys) })
  }

  get depth(): number {
    return this.#waiting.size + this.#working.size
  }

  get sleeping(): number {
    return this.#alarms.size
  }

  add(key: string): void {
    this.#addAll([key])
  }

  addAt(key: string, at: number): void {
    if (this.#waiting.has(key) || this.#again.has(key)) return
    const known = this.#alarms.at(key)
    if (known === undefined || at < known) this.#alarms.set(key, at)
  }

  addAfter(key: string, ms: number): void {
    this.addAt(key, this.#alarms.now() + ms)
  }

  remove(key: string): void {
    this.#alarms.clear(key)
    this.#waiting.delete(key)
    this.#again.delete(key)
    this.#failures.delete(key)
  }

  retryFailed(): void {
    this.#addAll([...this.#failures.keys()].filter(key => this.#alarms.at(key) !== undefined))
  }

  has(key: string): boolean {
    return this.#waiting.has(key) || this.#working.has(key) || this.#alarms.at(key) !== undefined
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
    this.#alarms.close()
    await Promise.all(inWork)
  }

  #addAll(keys: readonly string[]): void {
    for (const key of keys) {
      this.#alarms.clear(key)
      if (this.#working.has(key)) this.#again.add(key)
      else this.#waiting.add(key)
    }
    this.#wake?.()
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    this.#working.add(key)
    let again: ComeBack
    try {
      again = await this.#options.reconcile(key, signal)
      this.#failures.delete(key)
    } catch (error) {
      again = signal.aborted ? undefined : this.#failed(key, error)
    }
    this.#working.delete(key)
    if (this.#again.delete(key)) this.add(key)
    else if (again && !signal.aborted)
      this.addAt(key, 'at' in again ? again.at : this.#alarms.now() + again.inMs)
  }

  #failed(key: string, error: unknown): Again {
    const { log, name, isFinal, backoff = defaultBackoff } = this.#options
    const stack = error instanceof Error ? error.stack : undefined
    if (isFinal?.(error)) {
      this.#failures.delete(key)
      log.error({ queue: name, key, error: messageOf(error) }, 'reconcile.invalid')
      return undefined
    }
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const inMs = backoff(failures)
    const facts = { queue: name, key, failures, inMs, error: messageOf(error) }
    if (error instanceof Stale) log.debug(facts, 'reconcile.stale')
    else if (error instanceof Unavailable) log.warn(facts, 'reconcile.unavailable')
    else log.error({ ...facts, stack }, 'reconcile.failed')
    return { inMs }
  }
}
