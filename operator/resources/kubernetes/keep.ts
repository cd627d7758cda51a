import { API_VERSION, parseStored } from '../../../core/schema/objects.ts'
import type { CachedKind, Node, Objects } from '../port.ts'
import type { RawObject } from './reflector.ts'

/** kubectl's copy of the whole object, by far the largest annotation. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** One of our objects, without the parts that the operator never reads. Throws InvalidObject if this version cannot read it. */
export function keepOurs<K extends Exclude<CachedKind, 'Node'>>(kind: K): (raw: RawObject) => Objects[K] {
  return raw => {
    const { resourceVersion: _, managedFields: __, annotations, ...metadata } = raw.metadata
    const { [LAST_APPLIED]: ___, ...kept } = annotations ?? {}
    // The items of a list have no kind.
    const head = { apiVersion: API_VERSION, kind, metadata: { ...metadata, annotations: kept } }
    return parseStored({ ...raw, ...head }) as Objects[K]
  }
}

export function keepNode({ metadata, status }: RawObject): Node {
  const { name, uid, labels = {} } = metadata
  const conditions = (status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions
  const ready = conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  return { kind: 'Node', metadata: { name, uid, labels }, ready }
}
