import { isDeepStrictEqual } from 'node:util'
import type { Entry } from '../core/records/entry.ts'
import type { Clock } from '../platform/clock.ts'

/**
 * Numbers this operator's writes of entries, and tells the changes that it made from those of other processes. A write has a number greater
 * than that of each earlier write of the same object. Agents refuse an older one (agent/pool/newest-seen.ts).
 */
export interface OwnWrites {
  /** The entry with the number of its next write, under this key. */
  numbered<T extends Entry>(key: string, entry: T): T
  /** This process is about to put the value, or to delete the key (undefined). */
  expect(key: string, value: unknown): void
  /** etcd refused the last write that was expected under this key. */
  refused(key: string): void
  /** Whether this process made the change that a watch shows. `value`: of an entry its number. */
  isOwn(key: string, value: unknown): boolean
  /** Remembers an entry of etcd. */
  saw(entry: Entry): void
  /** The number of the newest write of this object that was seen in etcd. */
  newest(uid: string): number | undefined
}

export function createOwnWrites(clock: Pick<Clock, 'now'>): OwnWrites {
  const issued = new Map<string, number>()
  const seen = new Map<string, number>()
  /** By key, the writes that no watch has shown yet, in order. */
  const expected = new Map<string, unknown[]>()
  const expect = (key: string, value: unknown) => {
    expected.set(key, [...(expected.get(key) ?? []), value])
  }
  const take = (key: string, count: number) => {
    const left = expected.get(key)?.slice(count) ?? []
    if (left.length > 0) expected.set(key, left)
    else expected.delete(key)
  }
  return {
    numbered(key, entry) {
      const last = Math.max(issued.get(entry.uid) ?? 0, seen.get(entry.uid) ?? 0)
      const written = Math.max(clock.now(), last + 1)
      issued.set(entry.uid, written)
      expect(key, written)
      return { ...entry, written }
    },
    expect,
    refused(key) {
      const all = expected.get(key)
      if (all && all.length > 1) expected.set(key, all.slice(0, -1))
      else expected.delete(key)
    },
    isOwn(key, value) {
      // A watch may leave out states in between.
      const at = (expected.get(key) ?? []).findIndex(each => isDeepStrictEqual(each, value))
      if (at >= 0) take(key, at + 1)
      return at >= 0
    },
    saw: ({ uid, written }) => void seen.set(uid, Math.max(seen.get(uid) ?? 0, written ?? 0)),
    newest: uid => seen.get(uid),
  }
}
