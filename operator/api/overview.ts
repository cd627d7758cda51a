import type { Result } from '../../core/records/state.ts'
import type { CachedKind, ObjectRef, Resources } from '../resources/port.ts'
import type { OutcomeNotifier } from '../upkeep/outcome-notifier.ts'
import type { ShownObject } from './page.ts'

/** What the operator's socket shows: objects with the status that was last written, and results, with the latest replayed to new clients. */
export interface OverviewFeed {
  onStatus(ref: ObjectRef, uid: string, status: object): void
  onGone(ref: ObjectRef): void
  objects(resources: Resources): ShownObject[]
  object(resources: Resources, ref: ObjectRef & { kind: CachedKind }): object | undefined
  onOutcome(listener: (result: Result) => void): () => void
}

const SHOWN = ['ShellCronJob', 'ShellRun', 'ShellAgent', 'ShellPolicy', 'ShellPool'] as const
const REPLAYED = 1_000

export function createOverviewFeed(outcomes: OutcomeNotifier): OverviewFeed {
  const statuses = new Map<string, { uid: string; status: object }>()
  /** The status of an earlier object of the same name is not shown. */
  const withStatus = <T extends { metadata: { uid?: string | undefined } }>(key: string, object: T) => {
    const known = statuses.get(key)
    return { ...object, status: known?.uid === object.metadata.uid ? known?.status : undefined }
  }
  const recent: Result[] = []
  outcomes.listen(result => {
    recent.push(result)
    if (recent.length > REPLAYED) recent.shift()
  })
  return {
    onStatus: (ref, uid, status) => void statuses.set(keyOf(ref), { uid, status }),
    onGone: ref => void statuses.delete(keyOf(ref)),
    objects: resources =>
      SHOWN.flatMap(kind => [...resources.list(kind)]).map(object => {
        const { kind, metadata } = object
        return withStatus(keyOf({ kind, namespace: metadata.namespace ?? '', name: metadata.name }), object)
      }),
    object(resources, ref) {
      const object = resources.get(ref.kind, ref.namespace, ref.name)
      return object && withStatus(keyOf(ref), object)
    },
    onOutcome(listener) {
      for (const result of recent) listener(result)
      return outcomes.listen(listener)
    },
  }
}

function keyOf({ kind, namespace, name }: Pick<ObjectRef, 'kind' | 'namespace' | 'name'>): string {
  return `${kind}/${namespace}/${name}`
}
