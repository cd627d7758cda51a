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
 * The outbox: results go from etcd into the log store, then away. A crash between any two steps leaves nothing lost or doubled, and two
 * operators that drain at once do no harm: storing twice is storing once, and only what was stored is deleted.
 *
 *   results/… ──▶ stored ──▶ told ──▶ deleted, if it is still the revision that was stored
 *        └─ cannot be read, or never be stored ──▶ kept, logged once, counted
 */
export interface Drain {
  /** Drains until the signal aborts; resolves when nothing is in work any more. */
  run(signal: AbortSignal): Promise<void>
  /** Results stored by this process. */
  readonly stored: number
  /** Results that lie there and can be read, stored or not. */
  readonly waiting: number
  /** Results that lie there and cannot be read or stored: somebody has to look. */
  readonly kept: number
}

export interface DrainOptions {
  etcd: Pick<Etcd, 'view' | 'batch'>
  keys: Keys
  store: Pick<LogStore, 'record'>
  clock: Clock
  log: Log
  /** Called after a result was stored, and again for the same one after a crash: its object's status may be another now. */
  onOutcome(result: StoredResult): void
  /** Why nothing is stored for now, at each try; undefined: it is again. */
  onTrouble?(why: string | undefined): void
}

const MOST_AT_ONCE = 100
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
  /** Revisions that are stored and not yet deleted: not stored again when only the deletion failed. */
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
      else if (this.#waiting.size === 0) await this.#change(signal)
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

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (signal.aborted) resolve()
    })
    this.#wake = undefined
  }

  /** The oldest ones; what cannot be read is put aside. */
  #next(): Item[] {
    const items: Item[] = []
    for (const [key, { mod, value }] of this.#waiting) {
      const result = this.#read(key, value)
      if (result) items.push({ key, mod, result })
      else this.#keep(key, 'result.unreadable')
      if (items.length === MOST_AT_ONCE) break
    }
    return items
  }

  /** What lies under a key is about what the key says, or it is nothing. */
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
      await this.#storeOrSay(items.filter(({ key, mod }) => this.#storedAt.get(key) !== mod))
      await this.#delete(
        items.filter(({ key, mod }) => this.#storedAt.get(key) === mod),
        signal,
      )
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      await this.#pause(error, signal)
    }
  }

  async #storeOrSay(items: readonly Item[]): Promise<void> {
    try {
      await this.#store(items)
    } catch (error) {
      this.#isInTrouble = true
      this.#options.onTrouble?.(`outcomes are not stored for now, and wait in etcd: ${messageOf(error)}`)
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
      // One of them is not like the others: it must not hold them back.
      for (const item of items) await this.#store([item])
      return
    }
    for (const { key, mod, result } of items) {
      this.#storedAt.set(key, mod)
      this.#stored++
      this.#tell(result)
    }
  }

  #tell(result: StoredResult): void {
    try {
      this.#options.onOutcome(result)
    } catch (error) {
      this.#options.log.error({ run: result.run, error }, 'drain.listener')
    }
  }

  /** Exactly the revisions that were stored: another one under the same key is a result that has yet to be. */
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

  async #pause(cause: unknown, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    const inMs = backoff(++this.#failures)
    const facts = { error: messageOf(cause), waiting: this.#waiting.size, inMs }
    if (cause instanceof Unavailable) log.warn(facts, 'drain.unavailable')
    else log.error(facts, 'drain.failed')
    await clock.sleep(inMs, signal).catch(() => undefined)
  }
}
