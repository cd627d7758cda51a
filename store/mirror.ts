import type * as z from 'zod'
import type { View } from './etcd/client.ts'
import type { Change, KeyValue } from './etcd/types.ts'
import { parseValue, type Versioned } from './protocol/versioned.ts'

/** A prefix of etcd, parsed: what cannot be read is left out and told once. */
export interface Mirror<T> {
  get(key: string): Versioned<T> | undefined
  entries(): Iterable<Versioned<T>>
  readonly size: number
  /** After each change: `now` undefined means it is gone, or can no longer be read. */
  onChange(
    listener: (key: string, now: Versioned<T> | undefined, before: Versioned<T> | undefined) => void,
  ): void
}

/** Reads one value; undefined: cannot be read, or is not to be trusted. */
export type Read<T> = (item: KeyValue) => T | undefined

export function reading<T>(schema: z.ZodType<T>): Read<T> {
  return item => parseValue(schema, item.value)
}

/** So many values are read in one turn of the event loop: signatures take a tenth of a millisecond each, and there may be many. */
const IN_ONE_TURN = 100

/** Resolves when all that the view holds is read; changes that come meanwhile are read as they come. */
export async function mirror<T>(
  view: View,
  read: Read<T>,
  onUnreadable: (key: string) => void,
): Promise<Mirror<T>> {
  const known = new Map<string, Versioned<T>>()
  const listeners: Parameters<Mirror<T>['onChange']>[0][] = []

  const take = (key: string, item: KeyValue | undefined) => {
    const before = known.get(key)
    const value = item && read(item)
    // What was read of it is kept here.
    view.release(key)
    if (item && value === undefined) onUnreadable(key)
    const now = item && value !== undefined ? { key, mod: item.mod, value } : undefined
    if (now) known.set(key, now)
    else known.delete(key)
    if (now || before) for (const listener of listeners) listener(key, now, before)
  }
  view.onChange(({ key, now }: Change) => take(key, now))
  let count = 0
  for (const item of view.items.values()) {
    if (known.get(item.key)?.mod !== item.mod) take(item.key, item)
    if (++count % IN_ONE_TURN === 0) await new Promise(setImmediate)
  }

  return {
    get: key => known.get(key),
    entries: () => known.values(),
    get size() {
      return known.size
    },
    onChange: listener => void listeners.push(listener),
  }
}
