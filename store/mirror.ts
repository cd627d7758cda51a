import type * as z from 'zod'
import type { View } from './etcd/client.ts'
import type { Change, KeyValue } from './etcd/types.ts'
import { parseValue, type Versioned } from './protocol/versioned.ts'

/** The parsed values of a view. A value that cannot be read is left out, and reported once. */
export interface Mirror<T> {
  get(key: string): Versioned<T> | undefined
  entries(): Iterable<Versioned<T>>
  readonly size: number
  /** Called after each change. `now` is undefined if the key was deleted, or if its value can no longer be read. */
  onChange(
    listener: (key: string, now: Versioned<T> | undefined, before: Versioned<T> | undefined) => void,
  ): void
}

/** Parses one value. undefined: it cannot be read, or its signature is invalid. */
export type Read<T> = (item: KeyValue) => T | undefined

export function reading<T>(schema: z.ZodType<T>): Read<T> {
  return item => parseValue(schema, item.value)
}

/** How many values are read in one turn of the event loop. Each signature takes 0.1 ms to verify, and there may be many. */
const READS_PER_TURN = 100

/** Resolves when all values of the view are read. Changes during that time are read as they come. */
export async function mirror<T>(
  view: View,
  read: Read<T>,
  onUnreadable: (key: string) => void,
): Promise<Mirror<T>> {
  const known = new Map<string, Versioned<T>>()
  const listeners: Parameters<Mirror<T>['onChange']>[0][] = []

  const readItem = (key: string, item: KeyValue | undefined) => {
    const before = known.get(key)
    const value = item && read(item)
    // The parsed value is kept here, so the view need not keep the text.
    view.release(key)
    if (item && value === undefined) onUnreadable(key)
    const now = item && value !== undefined ? { key, mod: item.mod, value } : undefined
    if (now) known.set(key, now)
    else known.delete(key)
    if (now || before) for (const listener of listeners) listener(key, now, before)
  }
  view.onChange(({ key, now }: Change) => readItem(key, now))
  let count = 0
  for (const item of view.items.values()) {
    if (known.get(item.key)?.mod !== item.mod) readItem(item.key, item)
    if (++count % READS_PER_TURN === 0) await new Promise(setImmediate)
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
