import type * as z from 'zod'
import type { KeyValue } from '../etcd/types.ts'

/** A value, its key, and the revision of its last change when it was read. */
export interface Versioned<T> {
  key: string
  mod: number
  value: T
}

/** The same for a key that may be absent: `mod` is then 0. */
export type MaybeAbsent<T> = Versioned<T | undefined>

/** Parses a value of etcd. `value` is undefined if the key is absent, or if its value does not fit the schema. `mod` tells which. */
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
