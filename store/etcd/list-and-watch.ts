import { hash53 } from '../../core/hash.ts'
import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { EtcdUnavailable } from './errors.ts'
import type { Change, KeyValue } from './types.ts'
import type { Watches } from './watch-stream.ts'

/**
 * A mirror of a prefix: list, then watch from that revision; list again after every break. A listener misses no key's latest
 * state, but may miss states between (level-triggered).
 *
 *   list ──► diff against what we had, tell the changes ──► watch from its revision ──► tell each event
 *    ▲                                                                                        │
 *    └────────── pause, 0.1 s doubling to 5 s, jittered ◄──── broken, compacted, silent ◄─────┘
 */
export interface View {
  readonly items: ReadonlyMap<string, KeyValue>
  /**
   * Whoever reads this view has taken what it needs of this key: from here on only a digest of the value is kept, to know it again in a
   * list; its `value`, also as what was before a change, is empty.
   */
  release(key: string): void
  /** `items` is the state at this revision, as far as the prefix goes. */
  readonly revision: number
  /** A watch is on, and the list before it was applied. */
  readonly synced: boolean
  /** Resolves when the first list was applied; rejects with the signal's reason, or EtcdUnavailable when closed. */
  ready(signal?: AbortSignal): Promise<void>
  /** Called synchronously, in revision order, when `items` has the change already. The returned function ends it. */
  onChange(listener: (change: Change) => void): () => void
  /** Called after each (repeated) list was applied. */
  onSync(listener: () => void): () => void
  /** Monotonic ms since the last proof that this mirror is fresh: a list, an event or a progress notice. Infinity before the first. */
  staleForMs(): number
  close(): Promise<void>
}

export interface ViewOptions {
  prefix: string
  list(signal: AbortSignal): Promise<{ items: KeyValue[]; revision: number }>
  watches: Watches
  clock: Clock
  log: Log
  onClosed(): void
}

const backoff = createBackoff({ firstMs: 100, longestMs: 5_000 })

/** `digest`: of a value that has been released. */
type Item = KeyValue & { digest?: number }

export function createView(options: ViewOptions): View {
  return new ListAndWatch(options)
}

class ListAndWatch implements View {
  readonly #options: ViewOptions
  readonly #items = new Map<string, Item>()
  readonly #changeListeners = new Set<(change: Change) => void>()
  readonly #syncListeners = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  readonly #running: Promise<void>
  #revision = 0
  #synced = false
  #freshAt = -Infinity

  constructor(options: ViewOptions) {
    this.#options = options
    this.#first.promise.catch(() => undefined)
    this.#running = this.#run()
  }

  get items(): ReadonlyMap<string, KeyValue> {
    return this.#items
  }

  release(key: string): void {
    const item = this.#items.get(key)
    if (!item || item.value === '') return
    // Named one by one: what is spread keeps what is added apart from itself, and there may be a hundred thousand of them.
    const { mod, create, lease } = item
    this.#items.set(key, { key: item.key, value: '', mod, create, lease, digest: hash53(item.value) })
  }

  get revision(): number {
    return this.#revision
  }

  get synced(): boolean {
    return this.#synced
  }

  async ready(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (!signal) return await this.#first.promise
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#first.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  onChange(listener: (change: Change) => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  onSync(listener: () => void): () => void {
    this.#syncListeners.add(listener)
    return () => this.#syncListeners.delete(listener)
  }

  staleForMs(): number {
    return this.#options.clock.monotonic() - this.#freshAt
  }

  async close(): Promise<void> {
    const closed = new EtcdUnavailable('Closed', 'the view is closed')
    this.#stop.abort(closed)
    this.#first.reject(closed)
    await this.#running
    this.#options.onClosed()
  }

  async #run(): Promise<void> {
    const { prefix, clock, log } = this.#options
    const { signal } = this.#stop
    let failures = 0
    while (!signal.aborted) {
      try {
        const revision = await this.#list(signal)
        failures = 0
        // Not from the next one: etcd proves nothing to a watch whose revision has not come yet, and it may be long in coming.
        await this.#follow(revision)
      } catch (error) {
        if (signal.aborted) break
        log.warn({ prefix, error: messageOf(error) }, 'etcd.view.relist')
      }
      this.#synced = false
      // Jittered, so that a fleet does not list at once when a member comes back.
      await clock.sleep(backoff(++failures), signal).catch(() => undefined)
    }
    this.#synced = false
  }

  /** Apart from what waits for the watch's end, which would keep the list in memory. */
  async #list(signal: AbortSignal): Promise<number> {
    const { items, revision } = await this.#options.list(signal)
    signal.throwIfAborted()
    this.#replace(items, revision)
    return revision
  }

  /** Rejects with the reason when the watch is lost, or the view closed. */
  async #follow(from: number): Promise<never> {
    const { prefix, watches } = this.#options
    const { signal } = this.#stop
    const lost = Promise.withResolvers<never>()
    const cancel = watches.open(prefix, from, {
      events: (events, revision) => {
        this.#proved(revision)
        for (const { key, now } of events) if (!this.#isKnown(key, now)) this.#set(key, now)
      },
      progress: revision => this.#proved(revision),
      lost: lost.reject,
    })
    const onAbort = () => lost.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await lost.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      cancel()
    }
  }

  /** What a list says that we did not know: deletions first, then the rest in revision order. */
  #replace(items: KeyValue[], revision: number): void {
    this.#revision = revision
    this.#freshAt = this.#options.clock.monotonic()
    if (this.#items.size > 0) {
      const listed = new Set<string>()
      for (const { key } of items) listed.add(key)
      for (const key of this.#items.keys()) if (!listed.has(key)) this.#set(key, undefined)
    }
    const changed = items.filter(item => !isSame(item, this.#items.get(item.key)))
    changed.sort((a, b) => a.mod - b.mod)
    for (const item of changed) this.#set(item.key, item)
    this.#synced = true
    this.#first.resolve()
    for (const listener of this.#syncListeners) this.#guarded(listener)
  }

  /** The list's own revision is told once more. */
  #isKnown(key: string, now: KeyValue | undefined): boolean {
    return now !== undefined && now.mod === this.#items.get(key)?.mod
  }

  #proved(revision: number): void {
    this.#freshAt = this.#options.clock.monotonic()
    // A member that lags behind the one that gave the list tells its own, lower revision.
    this.#revision = Math.max(this.#revision, revision)
  }

  #set(key: string, now: KeyValue | undefined): void {
    const before = this.#items.get(key)
    if (now) this.#items.set(key, now)
    else this.#items.delete(key)
    if (!now && !before) return
    const change: Change = { key, ...(now && { now }), ...(before && { before }) }
    for (const listener of this.#changeListeners) this.#guarded(() => listener(change))
  }

  /** A listener's bug must not stop the mirror, nor the other listeners. */
  #guarded(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.log.error({ prefix: this.#options.prefix, error }, 'etcd.view.listener')
    }
  }
}

/** Also the value: after a restored snapshot a revision can come twice. */
function isSame(item: KeyValue, known: Item | undefined): boolean {
  return (
    known !== undefined &&
    item.mod === known.mod &&
    item.create === known.create &&
    item.lease === known.lease &&
    (known.digest === undefined ? item.value === known.value : hash53(item.value) === known.digest)
  )
}
