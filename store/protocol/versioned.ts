import type * as z from 'zod'
import type { KeyValue } from '../etcd/types.ts'

/** A value with its key and the revision under which it was read; `mod` 0: absent. */
export interface Versioned<T> {
  key: string
  mod: number
  value: T
}

/** What is known of a key that may be absent. */
export type MaybeAbsent<T> = Versioned<T | undefined>

/**
 * Reads a value of etcd. One that does not fit its schema is `undefined`, as nothing can be done with it; who must know of it
 * compares with the raw item.
 */
export function parseVersioned<T>(
  schema: z.ZodType<T>,
  key: string,
  item: KeyValue | undefined,
): MaybeAbsent<T> {
  if (!item) return { key, mod: 0, value: undefined }
  return { key, mod: item.mod, value: parseValue(schema, item.value) }
}

export function parseValue<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}
