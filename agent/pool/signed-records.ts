import type { KeyObject } from 'node:crypto'
import type * as z from 'zod'
import type { Entry } from '../../core/records/entry.ts'
import { createEntryInterner } from '../../core/records/intern-entries.ts'
import { verifyText } from '../../platform/signing.ts'
import type { Read } from '../../store/mirror.ts'
import { parseValue } from '../../store/protocol/versioned.ts'

/** Reads records that the operator signed. It rejects all others. */
export function readSigned<T>(operatorKey: KeyObject, schema: z.ZodType<T>): Read<T> {
  return item => {
    const text = verifyText(item.value, operatorKey)
    return text === undefined ? undefined : parseValue(schema, text)
  }
}

/**
 * Reads signed entries. It rejects an entry under a key that does not match it: a signed entry could have been copied there. `admits`: whether
 * it is no older than what was seen (newest-seen.ts).
 */
export function readSignedEntry<T extends Entry>(
  operatorKey: KeyObject,
  schema: z.ZodType<T>,
  {
    parseKey,
    admits,
  }: {
    parseKey(key: string): { pool: string; namespace: string; name: string } | undefined
    admits(entry: Entry): boolean
  },
): Read<T> {
  const read = readSigned(operatorKey, schema)
  const intern = createEntryInterner()
  return item => {
    const entry = read(item)
    const key = parseKey(item.key)
    const isUnderItsKey =
      entry && key && key.pool === entry.pool && key.namespace === entry.namespace && key.name === entry.name
    return isUnderItsKey && admits(entry) ? intern(entry) : undefined
  }
}
