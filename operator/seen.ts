import type { Result } from '../core/records/state.ts'
import type { Outcomes } from './outcomes.ts'
import type { CachedKind, ObjectRef, Resources } from './resources/port.ts'

/**
 * What the operator's socket shows: objects with the status that was last written of them, and outcomes, the latest ones again for a
 * client that comes later.
 */
export interface Seen {
  onStatus(ref: ObjectRef, status: object): void
  objects(resources: Resources): object[]
  object(resources: Resources, ref: ObjectRef & { kind: CachedKind }): object | undefined
  onOutcome(listener: (result: Result) => void): () => void
}

const SHOWN = ['ShellCronJob', 'ShellRun', 'ShellAgent', 'ShellPolicy', 'ShellPool'] as const
const REPLAYED = 1_000

export function createSeen(outcomes: Outcomes): Seen {
  const statuses = new Map<string, object>()
  const recent: Result[] = []
  outcomes.listen(result => {
    recent.push(result)
    if (recent.length > REPLAYED) recent.shift()
  })
  return {
    onStatus: (ref, status) => void statuses.set(keyOf(ref), status),
    objects(resources) {
      const objects = SHOWN.flatMap(kind => [...resources.list(kind)])
      const living = new Set<string>()
      const shown = objects.map(object => {
        const key = keyOf({
          kind: object.kind,
          namespace: object.metadata.namespace ?? '',
          name: object.metadata.name,
        })
        living.add(key)
        return { ...object, status: statuses.get(key) }
      })
      for (const key of statuses.keys()) if (!living.has(key)) statuses.delete(key)
      return shown
    },
    object(resources, ref) {
      const object = resources.get(ref.kind, ref.namespace, ref.name)
      return object && { ...object, status: statuses.get(keyOf(ref)) }
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
