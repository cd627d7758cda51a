import { hash53 } from '../../core/hash.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { WatchEvent } from './messages.ts'
import type { Change, KeyValue } from './types.ts'

/** `digest`: of a value that was released. */
type Item = KeyValue & { digest?: number }

/** The items of a view, and its listeners. Lists and events are applied here; list-and-watch.ts fetches them. */
export class ViewItems {
  readonly #options: { name: string; clock: Clock; log: Log }
  readonly #items = new Map<string, Item>()
  readonly #changeListeners = new Set<(change: Change) => void>()
  readonly #syncListeners = new Set<() => void>()
  readonly #firstList = Promise.withResolvers<void>()
  #revision = 0
  #synced = false
  #freshAt = -Infinity

  constructor(options: { name: string; clock: Clock; log: Log }) {
    this.#options = options
    this.#firstList.promise.catch(() => undefined)
  }

  get all(): ReadonlyMap<string, KeyValue> {
    return this.#items
  }

  get revision(): number {
    return this.#revision
  }

  get synced(): boolean {
    return this.#synced
  }

  /** Resolves when the first list was applied. */
  get firstList(): Promise<void> {
    return this.#firstList.promise
  }

  release(key: string): void {
    const item = this.#items.get(key)
    if (!item || item.value === '') return
    // No spread: V8 stores an added property of a spread object separately, which costs memory for each of 100,000 items.
    const { mod, create, lease } = item
    this.#items.set(key, { key: item.key, value: '', mod, create, lease, digest: hash53(item.value) })
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

  /** Applies a list: first deletions, then the other changes in revision order. An item that the list repeats is no change. */
  applyList(items: KeyValue[], revision: number): void {
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
    this.#firstList.resolve()
    for (const listener of this.#syncListeners) this.#guarded(listener)
  }

  applyEvents(events: readonly WatchEvent[], revision: number): void {
    this.proveFresh(revision)
    for (const { key, now } of events) if (!this.#isKnown(key, now)) this.#set(key, now)
  }

  /** etcd says that the items are complete up to this revision. */
  proveFresh(revision: number): void {
    this.#freshAt = this.#options.clock.monotonic()
    // A member that is behind the one that gave the list reports its own, lower revision.
    this.#revision = Math.max(this.#revision, revision)
  }

  /** The watch is lost: the items may be out of date until the next list. */
  lostSync(): void {
    this.#synced = false
  }

  close(reason: Error): void {
    this.#firstList.reject(reason)
  }

  /** A watch starts at the list's own revision, and so repeats that revision's events. */
  #isKnown(key: string, now: KeyValue | undefined): boolean {
    return now !== undefined && now.mod === this.#items.get(key)?.mod
  }

  #set(key: string, now: KeyValue | undefined): void {
    const before = this.#items.get(key)
    if (now) this.#items.set(key, now)
    else this.#items.delete(key)
    if (!now && !before) return
    const change: Change = { key, ...(now && { now }), ...(before && { before }) }
    for (const listener of this.#changeListeners) this.#guarded(() => listener(change))
  }

  /** A listener's bug must stop neither the view nor the other listeners. */
  #guarded(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.log.error({ view: this.#options.name, error }, 'etcd.view.listener')
    }
  }
}

/** Compares values too: after etcd was restored from a snapshot, the same revision can come again with another value. */
function isSame(item: KeyValue, known: Item | undefined): boolean {
  return (
    known !== undefined &&
    item.mod === known.mod &&
    item.create === known.create &&
    item.lease === known.lease &&
    (known.digest === undefined ? item.value === known.value : hash53(item.value) === known.digest)
  )
}
