import { isDeepStrictEqual } from 'node:util'
import { createBackoff } from '../../../platform/backoff.ts'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf, Unavailable } from '../../../platform/errors.ts'
import { accepted, type KubeApi, Refused } from '../../../platform/kubernetes/api.ts'
import type { Log } from '../../../platform/log.ts'
import { isVerdict } from '../verdict.ts'

/**
 * A copy of one list of the API server, kept up to date:
 *
 *   list ──► watch ──► ended by the server ──► watch from where it ended
 *    ▲         │
 *    └─ wait ◄─┴─ anything else: cut, silent, refused, expired (410), an error event
 *
 * Only after an orderly end is the watch sure to have missed nothing. After anything else, everything is listed and compared. That also
 * finds deletions, and an API server whose etcd was restored to an earlier state.
 */
export interface Reflected<T> {
  version: string
  namespace: string
  name: string
  uid: string
  /** undefined: the object was never readable. */
  object: T | undefined
  /** See `Resources.isSettled`. */
  settled: boolean
  /** Why the present version cannot be read. */
  unreadable?: string
}

export interface RawObject {
  metadata: {
    name: string
    namespace?: string
    uid: string
    resourceVersion: string
    generation?: number
    labels?: Record<string, string>
    annotations?: Record<string, string>
    managedFields?: unknown
  }
  status?: unknown
}

export interface ReflectorOptions<T> {
  api: KubeApi
  clock: Clock
  log: Log
  /** The path of the list, without a query. */
  path: string
  /** The media types of a list and of a watch's events. */
  accept?: { list: string; watch: string }
  /** Selects what to keep of an object. A change of anything else is not reported. If it throws, the last kept form stays. */
  keep: (raw: RawObject) => T
  /** Called after the copy has changed: the object is new, different or gone. */
  onChange: (namespace: string, name: string) => void
  /** Called when only the parts that are not kept have changed, with the version. */
  onOther?: (namespace: string, name: string, version: string) => void
  /** A watch that is silent for this long is cut, ms. Bookmarks arrive about once a minute. */
  silentMs?: number
  /** Objects in one page of a list. */
  pageSize?: number
}

const SILENT_MS = 180_000
const LONGEST_WAIT_MS = 10_000
const backoff = createBackoff({ firstMs: 100, longestMs: LONGEST_WAIT_MS })
/** The server ends each watch after this time, so that an abandoned one does not stay open, s. */
const WATCH_SECONDS = 300

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>
  readonly #items = new Map<string, Reflected<T>>()
  readonly #first = Promise.withResolvers<void>()
  #heardAt: number
  #denied: string | undefined
  #pageSize: number

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
    this.#heardAt = options.clock.monotonic()
    this.#pageSize = options.pageSize ?? 500
  }

  /** Resolves after the first complete list. */
  get synced(): Promise<void> {
    return this.#first.promise
  }

  /** The server's message, if it last answered that the operator may not list or watch. */
  get denied(): string | undefined {
    return this.#denied
  }

  /** ms since the server last sent anything. */
  staleForMs(): number {
    return this.#options.clock.monotonic() - this.#heardAt
  }

  get(namespace: string, name: string): Reflected<T> | undefined {
    return this.#items.get(`${namespace}/${name}`)
  }

  list(): T[] {
    return Array.from(this.#items.values(), ({ object }) => object).filter(object => object !== undefined)
  }

  uids(): string[] {
    return Array.from(this.#items.values(), ({ uid }) => uid)
  }

  /** Lists and watches until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, path } = this.#options
    for (let failures = 0; !signal.aborted; failures++) {
      const startedAt = clock.monotonic()
      try {
        let version = await this.#list(signal)
        while (!signal.aborted) version = await this.#watch(version, signal)
      } catch (error) {
        if (signal.aborted) return
        if (clock.monotonic() - startedAt > LONGEST_WAIT_MS) failures = 0
        this.#denied = isDenial(error) ? messageOf(error) : undefined
        log.warn({ path, failures, error: messageOf(error) }, 'watch.failed')
        await clock.sleep(backoff(failures + 1), signal).catch(() => undefined)
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { api, path } = this.#options
    const listed = new Set<string>()
    for (let next = ''; ; ) {
      const query = new URLSearchParams(next ? { continue: next } : {})
      if (this.#pageSize > 0) query.set('limit', String(this.#pageSize))
      const answer = await api.request({
        ...this.#call(`${path}?${query.toString()}`, 'list'),
        signal,
        within: 60_000,
      })
      // The snapshot of the pages has expired, as reading them took too long. From now on everything is read at once.
      if (answer.status === 410) this.#pageSize = 0
      const page = accepted(answer, `list ${path}`) as List
      for (const raw of page.items ?? []) listed.add(this.#put(raw))
      this.#heard()
      next = page.metadata.continue ?? ''
      if (next === '') {
        this.#deleteUnlisted(listed)
        return page.metadata.resourceVersion
      }
    }
  }

  #deleteUnlisted(listed: ReadonlySet<string>): void {
    for (const [key, { namespace, name }] of this.#items) {
      if (!listed.has(key)) this.#delete(namespace, name)
    }
    this.#first.resolve()
  }

  /** Follows one watch to its end. Returns the version to continue from; throws if changes may have been missed. */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    const { api, path, clock } = this.#options
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${from}`
    const startedAt = clock.monotonic()
    const over = new AbortController()
    const whole = AbortSignal.any([signal, over.signal])
    const cutter = this.#cutWhenSilent(over)
    let version = from
    try {
      const lines = await api.lines({ ...this.#call(`${path}?${query}`, 'watch'), signal: whole })
      this.#denied = undefined
      for await (const line of lines) {
        if (line !== '') version = this.#apply(JSON.parse(line) as WatchEvent)
      }
    } finally {
      over.abort()
      await cutter
    }
    if (clock.monotonic() - startedAt < 1_000) throw new Unavailable('the watch ended within a second')
    return version
  }

  async #cutWhenSilent(over: AbortController): Promise<void> {
    const silentMs = this.#options.silentMs ?? SILENT_MS
    try {
      for (;;) {
        await this.#options.clock.sleep(silentMs / 10, over.signal)
        if (this.staleForMs() > silentMs)
          over.abort(new Unavailable(`the watch was silent for ${silentMs} ms`))
      }
    } catch {
      // The watch is over.
    }
  }

  #apply(event: WatchEvent): string {
    this.#heard()
    if (event.type === 'ERROR') {
      throw new Refused({ status: event.object.code ?? 0, body: event.object }, 'watch')
    }
    const { metadata } = event.object
    if (event.type === 'DELETED') this.#delete(metadata.namespace ?? '', metadata.name)
    else if (event.type !== 'BOOKMARK') this.#put(event.object)
    return metadata.resourceVersion
  }

  #put(raw: RawObject): string {
    const { name, namespace = '', uid, resourceVersion: version } = raw.metadata
    const key = `${namespace}/${name}`
    if (this.#items.get(key)?.version === version) return key
    const before = this.#items.get(key)
    const now = this.#keep(raw, before?.object)
    const same = before?.unreadable === now.unreadable && isDeepStrictEqual(before?.object, now.object)
    const kept = same ? { ...now, object: before?.object } : now
    const settled = isVerdict(raw.status, raw.metadata.generation)
    this.#items.set(key, { version, namespace, name, uid, settled, ...kept })
    if (!before || !same) this.#options.onChange(namespace, name)
    else this.#options.onOther?.(namespace, name, version)
    return key
  }

  #keep(raw: RawObject, before: T | undefined): { object: T | undefined; unreadable?: string } {
    try {
      return { object: this.#options.keep(raw) }
    } catch (error) {
      const { path, log } = this.#options
      log.error({ path, name: raw.metadata.name, error: messageOf(error) }, 'object.unreadable')
      return { object: before, unreadable: messageOf(error) }
    }
  }

  #delete(namespace: string, name: string): void {
    if (this.#items.delete(`${namespace}/${name}`)) this.#options.onChange(namespace, name)
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.monotonic()
  }

  #call(path: string, what: 'list' | 'watch'): { path: string; accept?: string } {
    const accept = this.#options.accept?.[what]
    return accept ? { path, accept } : { path }
  }
}

interface List {
  metadata: { resourceVersion: string; continue?: string }
  /** null for an empty list, if only metadata was requested. */
  items: RawObject[] | null
}

interface WatchEvent {
  type: string
  object: RawObject & { code?: number; message?: string }
}

function isDenial(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Refused ? error.cause : error
  return cause instanceof Refused && (cause.status === 403 || cause.status === 401)
}
