import type { Result } from '../../core/records/state.ts'
import { type PackedStatus, packStatus, unpackStatus } from '../resources/directory/packed-status.ts'
import type { CachedKind, ObjectRef, Resources } from '../resources/port.ts'
import type { OutcomeNotifier } from '../upkeep/outcome-notifier.ts'
import { createPageIndex, type Page, type RowRef, type ShownObject } from './page.ts'

/** What the operator's socket shows: objects with the status that was last written, and results, with the latest replayed to new clients. */
export interface OverviewFeed {
  onStatus(ref: ObjectRef, uid: string, status: object): void
  /** Follows the objects. Returns a function that ends it. */
  follow(resources: Resources): () => void
  objects(resources: Resources): ShownObject[]
  /** The first jobs and runs by name, those that cannot run, and the agents. Only for the resources that it follows. */
  page(resources: Resources, rows: number): Page
  object(resources: Resources, ref: ObjectRef & { kind: CachedKind }): object | undefined
  onOutcome(listener: (result: Result) => void): () => void
}

const SHOWN = ['ShellCronJob', 'ShellRun', 'ShellAgent', 'ShellPolicy', 'ShellPool'] as const
const REPLAYED = 1_000

export function createOverviewFeed(outcomes: OutcomeNotifier): OverviewFeed {
  const statuses = createStatuses()
  const replay = createReplay(outcomes)
  const index = createPageIndex()
  const look = (resources: Resources) => (ref: ObjectRef & { kind: CachedKind }) => {
    const object = resources.get(ref.kind, ref.namespace, ref.name)
    return object && statuses.addTo(keyOf(ref), object)
  }
  const refresh = (resources: Resources, ref: RowRef) => {
    const object = look(resources)(ref)
    if (object) index.set(ref, object.status)
    else index.delete(ref)
  }
  let followed: Resources | undefined
  return {
    onStatus(ref, uid, status) {
      statuses.set(keyOf(ref), uid, status)
      if (followed && isRow(ref)) refresh(followed, ref)
    },
    follow(resources) {
      index.clear()
      followed = resources
      for (const kind of ['ShellCronJob', 'ShellRun'] as const)
        for (const { metadata } of resources.list(kind))
          refresh(resources, { kind, namespace: metadata.namespace ?? '', name: metadata.name })
      return resources.onChange(ref => {
        if (ref.kind === 'Secret' || ref.kind === 'ConfigMap') return
        if (!resources.get(ref.kind, ref.namespace, ref.name)) statuses.delete(keyOf(ref))
        if (isRow(ref)) refresh(resources, ref)
      })
    },
    objects: resources =>
      SHOWN.flatMap(kind => [...resources.list(kind)]).map(object =>
        statuses.addTo(keyOfObject(object), object),
      ),
    page(resources, rows) {
      const { objects, more } = index.page(rows, look(resources))
      const agents = resources.list('ShellAgent').map(agent => statuses.addTo(keyOfObject(agent), agent))
      return { objects: [...objects, ...agents], more }
    },
    object: (resources, ref) => look(resources)(ref),
    onOutcome: replay,
  }
}

/** The statuses that were last written. */
function createStatuses() {
  const statuses = new Map<string, { uid: string; status: PackedStatus }>()
  return {
    set: (key: string, uid: string, status: object) =>
      void statuses.set(key, { uid, status: packStatus(status) }),
    delete: (key: string) => void statuses.delete(key),
    /** The status of an earlier object of the same name is not shown. */
    addTo<T extends { metadata: { uid?: string | undefined } }>(key: string, object: T) {
      const known = statuses.get(key)
      const isOfThis = known !== undefined && known.uid === object.metadata.uid
      return { ...object, status: isOfThis ? unpackStatus(known.status) : undefined }
    },
  }
}

/** Repeats the latest results to each new listener. */
function createReplay(outcomes: OutcomeNotifier): OverviewFeed['onOutcome'] {
  const recent: Result[] = []
  outcomes.listen(result => {
    recent.push(result)
    if (recent.length > REPLAYED) recent.shift()
  })
  return listener => {
    for (const result of recent) listener(result)
    return outcomes.listen(listener)
  }
}

function isRow(ref: ObjectRef): ref is RowRef {
  return ref.kind === 'ShellCronJob' || ref.kind === 'ShellRun'
}

function keyOfObject({ kind, metadata }: ShownObject): string {
  return keyOf({ kind, namespace: metadata.namespace ?? '', name: metadata.name })
}

function keyOf({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string {
  return `${kind}/${namespace}/${name}`
}
