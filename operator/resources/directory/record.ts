import { createHash } from 'node:crypto'
import * as z from 'zod'
import { canonical } from './canonical.ts'
import { type PackedStatus, packStatus, unpackStatus } from './packed-status.ts'

/** An object as it is kept in etcd: enough to present it as Kubernetes would, even if its file can no longer be read. */
const recordSchema = z.object({
  uid: z.string(),
  /** Grows with the spec. */
  generation: z.number(),
  /** Unix ms. It is part of the uid, so that an object that is created again gets another uid. */
  created: z.number(),
  /** When it was removed from the directory, Unix ms. The object stays while it has our finalizer. */
  deleted: z.number().optional(),
  finalizer: z.boolean().default(false),
  /** Its file, relative to the directory. */
  file: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  /** Annotations that the operator has set, or removed (null). They override those of the file. */
  annotated: z.record(z.string(), z.string().nullable()).default({}),
  /** The last valid spec, as the user wrote it. Defaults are applied when it is read. */
  spec: z.unknown(),
  status: z.record(z.string(), z.unknown()).optional(),
})

/** As it is kept in memory: ten thousand texts need much less of it than ten thousand parsed specs and statuses. */
export type ObjectRecord = Omit<z.infer<typeof recordSchema>, 'spec' | 'status'> & {
  /** Canonical JSON. */
  spec: string
  status?: PackedStatus
}

export function parseRecord(text: string): ObjectRecord {
  const { spec, status, ...rest } = recordSchema.parse(JSON.parse(text))
  return { ...rest, spec: canonical(spec), ...(status ? { status: packStatus(status) } : {}) }
}

export function recordText({ spec, status, ...rest }: ObjectRecord): string {
  return canonical({
    ...rest,
    spec: JSON.parse(spec) as unknown,
    ...(status ? { status: unpackStatus(status) } : {}),
  })
}

/**
 * A uid in the form of a UUID. The creation time distinguishes objects that have had the same name, so that nothing has to be remembered of
 * deleted ones.
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

/** `kind/namespace/name`, the namespace '' if the kind has none. */
export function keyOf({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string {
  return `${kind}/${namespace}/${name}`
}
