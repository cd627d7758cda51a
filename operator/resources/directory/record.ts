import { createHash } from 'node:crypto'
import * as z from 'zod'

/** What etcd keeps of an object: enough to present it as Kubernetes would, also when its file cannot be read any more. */
const recordSchema = z.object({
  uid: z.string(),
  /** Grows with the spec. */
  generation: z.number(),
  /** Unix ms; also what makes the uid another one when an object comes back. */
  created: z.number(),
  /** Unix ms of the removal from the directory. The object stays as long as it has our finalizer. */
  deleted: z.number().optional(),
  finalizer: z.boolean().default(false),
  /** The file that it is from, relative to the directory. */
  file: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  /** Annotations that the operator has set, or (null) taken away, over those of the file. */
  annotated: z.record(z.string(), z.string().nullable()).default({}),
  /** The last good one, as the user wrote it: defaults are applied when it is read. */
  spec: z.unknown(),
  status: z.record(z.string(), z.unknown()).optional(),
})

export type ObjectRecord = z.infer<typeof recordSchema>

export function parseRecord(text: string): ObjectRecord {
  return recordSchema.parse(JSON.parse(text))
}

/**
 * In the form of a UUID. The time of creation serves as the counter that tells one life of a name from the next: nothing has to be
 * remembered of objects that are gone.
 */
export function uidOf(key: string, created: number): string {
  const hash = createHash('sha256').update(`${key} ${created}`).digest('hex')
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => hash.slice(from, to))
    .join('-')
}

/** JSON with its keys in order: equal for equal values, however they were written. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

/** `kind/namespace/name`, the namespace '' if the kind has none. */
export function keyOf({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string {
  return `${kind}/${namespace}/${name}`
}
