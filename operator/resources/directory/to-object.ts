import { API_VERSION, parseStored, type ShellCronObject } from '../../../core/schema/objects.ts'
import { CLUSTER_SCOPED, FINALIZER } from '../port.ts'
import type { ObjectRecord } from './record.ts'

/** The object as an API server would show it. Throws InvalidObject if this version cannot read the spec. */
export function toObject(key: string, record: ObjectRecord): ShellCronObject {
  const [kind = '', namespace = '', name = ''] = key.split('/')
  const annotations: Record<string, string> = { ...record.annotations }
  for (const [annotation, value] of Object.entries(record.annotated)) {
    if (value === null) delete annotations[annotation]
    else annotations[annotation] = value
  }
  return parseStored({
    apiVersion: API_VERSION,
    kind,
    metadata: {
      name,
      ...(CLUSTER_SCOPED.has(kind) ? {} : { namespace }),
      uid: record.uid,
      generation: record.generation,
      creationTimestamp: new Date(record.created).toISOString(),
      ...(record.deleted === undefined ? {} : { deletionTimestamp: new Date(record.deleted).toISOString() }),
      ...(record.finalizer ? { finalizers: [FINALIZER] } : {}),
      labels: record.labels,
      annotations,
    },
    spec: JSON.parse(record.spec) as unknown,
  })
}
