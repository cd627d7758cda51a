import type { Keys } from '../../core/keys.ts'
import { resultSchema } from '../../core/records/state.ts'
import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import type { LogStore, StoredResult } from '../../store/log/port.ts'
import { parseValue } from '../../store/protocol/versioned.ts'

/**
 * Drains the outbox: results move from etcd into the log store. A crash between two steps loses or doubles nothing, and two operators may
 * drain at once: storing a result again changes nothing, and only a stored revision is deleted.
 *
 *   results/… ──▶ stored ──▶ listeners notified ──▶ deleted, if it is still the revision that was stored
 *        └─ unreadable, or rejected by the log store ──▶ kept, logged once, counted
 */
export interface Drain {
  /** Drains until the signal aborts. Resolves when no work is in progress. */
  run(signal: AbortSignal): Promise<void>
  /** How many results this process has stored. */
  readonly stored: number
  /** How many readable results are in the outbox, stored or not. */
  readonly waiting: number
  /** How many results in the outbox are unreadable or cannot be stored. An administrator must look at them. */
  readonly kept: number
}

export interface DrainOptions {
  etcd: Pick<Etcd, 'view' | 'batch'>
  keys: Keys
  store: Pick<LogStore, 'record'>
  clock: Clock
  log: Log
  /** Called after a result was stored; after a crash, again for the same one. Its object's status may have changed. */
  onOutcome(result: StoredResult): void
  /** Called with the reason after each failed attempt to store, and with undefined after the next success. */
  onTrouble?(message: string | undefined): void
}

const BATCH_SIZE = 100
const backoff = createBackoff({ firstMs: 100, longestMs: 30_000 })

interface Item {
  key: string
  mod: number
  result: StoredResult
}

export function createDrain(options: DrainOptions): Drain {
  return new OutboxDrain(options)
}

class OutboxDrain implements Drain {
  readonly #options: DrainOptions
  readonly #waiting = new Map<string, KeyValue>()
  /** Revisions that are stored and not yet deleted. If only the deletion fails, they are not stored again. */
  readonly #storedAt = new Map<string, number>()
  readonly #kept = new Set<string>()
  #stored = 0
  #failures = 0
  #isInTrouble = false
  #wake: (() => void) | undefined

  constructor(options: DrainOptions) {
    this.#options = options
  }

  get stored(): number {
    return this.#stored
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get kept(): number {
    return this.#kept.size
  }

  async run(signal: AbortSignal): Promise<void> {
    const { etcd, keys } = this.#options
    const view = etcd.view(keys.results)
    view.onChange(({ key, now }) => this.#take(key, now))
    const onAbort = () => this.#wake?.()
    signal.addEventListener('abort', onAbort)
    while (!signal.aborted) {
      const items = this.#next()
      if (items.length > 0) await this.#drain(items, signal)
      else if (this.#waiting.size === 0) await this.#nextChange(signal)
    }
    signal.removeEventListener('abort', onAbort)
    await view.close()
  }

  #take(key: string, now: KeyValue | undefined): void {
    this.#kept.delete(key)
    if (now) this.#waiting.set(key, now)
    else {
      this.#waiting.delete(key)
      this.#storedAt.delete(key)
    }
    this.#wake?.()
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (signal.aborted) resolve()
    })
    this.#wake = undefined
  }

  /** The oldest results. Unreadable ones are set aside. */
  #next(): Item[] {
    const items: Item[] = []
    for (const [key, { mod, value }] of this.#waiting) {
      const result = this.#read(key, value)
      if (result) items.push({ key, mod, result })
      else this.#keep(key, 'result.unreadable')
      if (items.length === BATCH_SIZE) break
    }
    return items
  }

  /** A result that does not match its key counts as unreadable. */
  #read(key: string, value: string): StoredResult | undefined {
    const at = this.#options.keys.parseResult(key)
    const result = parseValue(resultSchema, value)
    return at && result?.run === at.runId && result.attempt === at.attempt
      ? { ...result, pool: at.pool }
      : undefined
  }

  #keep(key: string, event: string, error?: unknown): void {
    this.#waiting.delete(key)
    this.#kept.add(key)
    this.#options.log.error({ key, ...(error ? { error: messageOf(error) } : {}) }, event)
  }

  async #drain(items: readonly Item[], signal: AbortSignal): Promise<void> {
    try {
      await this.#storeAndReport(items.filter(({ key, mod }) => this.#storedAt.get(key) !== mod))
      await this.#delete(
        items.filter(({ key, mod }) => this.#storedAt.get(key) === mod),
        signal,
      )
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      await this.#waitAfter(error, signal)
    }
  }

  async #storeAndReport(items: readonly Item[]): Promise<void> {
    try {
      await this.#store(items)
    } catch (error) {
      this.#isInTrouble = true
      this.#options.onTrouble?.(`results cannot be stored for now, and wait in etcd: ${messageOf(error)}`)
      throw error
    }
    if (this.#isInTrouble) this.#options.onTrouble?.(undefined)
    this.#isInTrouble = false
  }

  async #store(items: readonly Item[]): Promise<void> {
    const { store } = this.#options
    try {
      if (items.length > 0) await store.record(items.map(({ result }) => result))
    } catch (error) {
      if (error instanceof Unavailable) throw error
      const [only] = items
      if (items.length === 1 && only) return this.#keep(only.key, 'result.unstorable', error)
      // One of them is rejected. Stored one by one, it does not hold up the others.
      for (const item of items) await this.#store([item])
      return
    }
    for (const { key, mod, result } of items) {
      this.#storedAt.set(key, mod)
      this.#stored++
      this.#notify(result)
    }
  }

  #notify(result: StoredResult): void {
    try {
      this.#options.onOutcome(result)
    } catch (error) {
      this.#options.log.error({ run: result.run, error }, 'drain.listener')
    }
  }

  /** Deletes exactly the revisions that were stored. Another revision of the same key has not been stored yet. */
  async #delete(items: readonly Item[], signal: AbortSignal): Promise<void> {
    const { etcd } = this.#options
    const answers = await etcd.batch(
      items.map(({ key, mod }) => ({ compare: [{ key, mod }], then: [{ delete: key }] })),
      signal,
    )
    let failed: Error | undefined
    for (const [index, { key, mod }] of items.entries()) {
      const answer = answers[index]
      if (answer && 'ambiguous' in answer) failed = answer.ambiguous
      else if (this.#waiting.get(key)?.mod === mod) this.#waiting.delete(key)
    }
    if (failed) throw failed
  }

  async #waitAfter(cause: unknown, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    const inMs = backoff(++this.#failures)
    const facts = { error: messageOf(cause), waiting: this.#waiting.size, inMs }
    if (cause instanceof Unavailable) log.warn(facts, 'drain.unavailable')
    else log.error(facts, 'drain.failed')
    await clock.sleep(inMs, signal).catch(() => undefined)
  }
}
