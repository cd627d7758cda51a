import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { KeyRange, KeyValue } from './types.ts'
import type { ViewItems } from './view-items.ts'
import type { Watches } from './watch-stream.ts'

/** Lists a prefix at one revision. */
export type List = (signal: AbortSignal) => Promise<{ items: KeyValue[]; revision: number }>

export interface ListAndWatchOptions {
  keys: KeyRange
  list: List
  watches: Watches
  clock: Clock
  log: Log
}

const backoff = createBackoff({ firstMs: 100, longestMs: 5_000 })

/**
 * Keeps a view's items up to date until the signal aborts. A lost watch is never resumed: etcd may have compacted the missed events. The
 * prefix is listed again instead, and the difference applied.
 *
 *   list ──► apply the difference ──► watch from the list's revision ──► apply each event
 *    ▲                                                                         │
 *    └──────── wait, 0.1 s doubling to 5 s, jittered ◄──── lost: broken, compacted or silent
 */
export async function listAndWatch(
  items: ViewItems,
  options: ListAndWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { keys, clock, log } = options
  let failures = 0
  while (!signal.aborted) {
    try {
      const revision = await listInto(items, options.list, signal)
      failures = 0
      // From the list's own revision, not the next one: etcd reports no progress for a revision that does not exist yet.
      await watchUntilLost(items, { ...options, from: revision }, signal)
    } catch (error) {
      if (signal.aborted) break
      log.warn({ ...keys, error: messageOf(error) }, 'etcd.view.relist')
    }
    items.lostSync()
    // Jittered, so that the agents of a fleet do not all list at once when a member returns.
    await clock.sleep(backoff(++failures), signal).catch(() => undefined)
  }
  items.lostSync()
}

/** A function of its own, so that the listed items can be collected while the watch is awaited. */
async function listInto(items: ViewItems, list: List, signal: AbortSignal): Promise<number> {
  const listed = await list(signal)
  signal.throwIfAborted()
  items.applyList(listed.items, listed.revision)
  return listed.revision
}

/** Rejects with the reason when the watch is lost, or with the signal's. */
async function watchUntilLost(
  items: ViewItems,
  { keys, watches, from }: ListAndWatchOptions & { from: number },
  signal: AbortSignal,
): Promise<never> {
  const lost = Promise.withResolvers<never>()
  const cancel = watches.open(keys, from, {
    events: (events, revision) => items.applyEvents(events, revision),
    progress: revision => items.proveFresh(revision),
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
