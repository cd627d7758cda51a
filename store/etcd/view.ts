import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { EtcdUnavailable } from './errors.ts'
import { type List, listAndWatch } from './list-and-watch.ts'
import type { Change, KeyRange, KeyValue } from './types.ts'
import { ViewItems } from './view-items.ts'
import type { Watches } from './watch-stream.ts'

/**
 * A local copy of all keys under a prefix, kept up to date by list and watch (list-and-watch.ts). A listener misses no key's latest
 * state, but may miss states in between: it is level-triggered. Values are raw text: `Mirror` parses them.
 */
export interface View {
  readonly items: ReadonlyMap<string, KeyValue>
  /**
   * Drops the value of this key to save memory: call it when you have read what you need. Its `value` is then empty, also as a change's
   * `before`. A digest stays, so that a list that brings the same value again causes no change.
   */
  release(key: string): void
  /** `items` is the state at this revision, as far as the prefix goes. */
  readonly revision: number
  /** The last list was applied, and a watch follows it. */
  readonly synced: boolean
  /** Resolves when the first list was applied. Rejects with the signal's reason, or EtcdUnavailable when closed. */
  ready(signal?: AbortSignal): Promise<void>
  /** Calls the listener synchronously, in revision order, after `items` has the change. Returns a function that removes it. */
  onChange(listener: (change: Change) => void): () => void
  /** Calls the listener each time a list was applied. Returns a function that removes it. */
  onSync(listener: () => void): () => void
  /** Monotonic ms since etcd last proved this view fresh, by a list, an event or a progress notice. Infinity before the first. */
  staleForMs(): number
  close(): Promise<void>
}

export interface ViewOptions {
  keys: KeyRange
  list: List
  watches: Watches
  clock: Clock
  log: Log
  onClosed(): void
}

export function createView(options: ViewOptions): View {
  const items = new ViewItems({ ...options, name: nameOf(options.keys) })
  const stop = new AbortController()
  const running = listAndWatch(items, options, stop.signal)
  return {
    items: items.all,
    release: key => items.release(key),
    get revision() {
      return items.revision
    },
    get synced() {
      return items.synced
    },
    ready: signal => beforeAbort(items.firstList, signal),
    onChange: listener => items.onChange(listener),
    onSync: listener => items.onSync(listener),
    staleForMs: () => items.staleForMs(),
    async close() {
      const closed = new EtcdUnavailable('Closed', 'the view is closed')
      stop.abort(closed)
      items.close(closed)
      await running
      options.onClosed()
    },
  }
}

/** For log lines. */
function nameOf(keys: KeyRange): string {
  return 'key' in keys ? keys.key : keys.prefix
}

async function beforeAbort(done: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (!signal) return await done
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([done, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
