import type { Clock } from '../../../platform/clock.ts'
import type { KubeApi } from '../../../platform/kubernetes/api.ts'
import type { Log } from '../../../platform/log.ts'
import { createListeners } from '../listeners.ts'
import type { CachedKind, ObjectRef, Objects, Resources } from '../port.ts'
import { createEvents } from './events.ts'
import { createForeignStatuses } from './foreign-status.ts'
import { keepNode, keepOurs } from './keep.ts'
import { Lookups } from './lookups.ts'
import { listPath } from './paths.ts'
import { Reflector } from './reflector.ts'
import { createWrites, type Stored } from './writes.ts'

export interface KubernetesOptions {
  api: KubeApi
  clock: Clock
  log: Log
  /** A watch that is silent for this long is cut, ms. Default 3 minutes. */
  silentMs?: number
  /** How often a Secret or ConfigMap is read again that may be read but not watched, ms. Default 1 minute. */
  pollInterval?: number
}

type Reflectors = { [K in CachedKind]: Reflector<Objects[K]> }

/** The operator's objects on an API server. */
export function createKubernetesResources(options: KubernetesOptions): Resources {
  const { api, log } = options
  const changes = createListeners<ObjectRef>(log)
  const lookups = new Lookups({ ...options, onChange: changes.notify })
  const events = createEvents(options)
  const forgetEmptyNamespace = countObjects(namespace => lookups.forget(namespace))
  const foreign = createListeners<ObjectRef>(log)
  const statuses = createForeignStatuses(options.clock, key => foreign.notify(refOf(key)))
  const reflectors = createReflectors(options, {
    onChange(ref, exists) {
      if (ref.namespace !== '') forgetEmptyNamespace(ref, exists)
      if (!exists) statuses.forget(keyOf(ref))
      changes.notify(ref)
    },
    onOther: (ref, version) => statuses.seen(keyOf(ref), version),
  })
  const all = Object.values(reflectors)
  return {
    async start(signal) {
      for (const reflector of all) void reflector.run(signal)
      void lookups.run(signal)
      void events.run(signal)
      await Promise.race([Promise.all(all.map(one => one.synced)), rejectOnAbort(signal)])
    },
    get: (kind, namespace, name) => reflectors[kind].get(namespace, name)?.object,
    list: kind => reflectors[kind].list(),
    uids: kind => reflectors[kind].uids(),
    unreadable: (kind, namespace, name) => reflectors[kind].get(namespace, name)?.unreadable,
    isSettled: ({ kind, namespace, name }) =>
      kind === 'Secret' || kind === 'ConfigMap' || (reflectors[kind].get(namespace, name)?.settled ?? false),
    onChange: changes.add,
    onForeignStatus: foreign.add,
    denied: () =>
      Object.entries(reflectors).flatMap(([kind, { denied }]) =>
        denied === undefined ? [] : [{ kind: kind as CachedKind, message: denied }],
      ),
    staleForMs: () => Math.max(...all.map(one => one.staleForMs())),
    lookUp: (kind, namespace, name) => lookups.lookUp(kind, namespace, name),
    event: events.record,
    ...createWrites(api, {
      cached: ref => stored(reflectors, ref),
      onStatus: (ref, version) => statuses.wrote(keyOf(ref), version),
    }),
    problems: () => [],
    onProblems: () => () => undefined,
  }
}

function keyOf({ kind, namespace, name }: ObjectRef): string {
  return `${kind}/${namespace}/${name}`
}

function refOf(key: string): ObjectRef {
  const [kind = '', namespace = '', name = ''] = key.split('/')
  return { kind: kind as CachedKind, namespace, name }
}

function createReflectors(
  options: KubernetesOptions,
  {
    onChange,
    onOther,
  }: { onChange(ref: ObjectRef, exists: boolean): void; onOther(ref: ObjectRef, version: string): void },
): Reflectors {
  const reflect = <K extends CachedKind>(kind: K, keep: Keep<K>): Reflector<Objects[K]> => {
    const reflector: Reflector<Objects[K]> = new Reflector({
      ...options,
      path: listPath(kind),
      keep,
      onChange: (namespace, name) =>
        onChange({ kind, namespace, name }, reflector.get(namespace, name) !== undefined),
      onOther: (namespace, name, version) => kind !== 'Node' && onOther({ kind, namespace, name }, version),
    })
    return reflector
  }
  return {
    ShellCronJob: reflect('ShellCronJob', keepOurs('ShellCronJob')),
    ShellRun: reflect('ShellRun', keepOurs('ShellRun')),
    ShellAgent: reflect('ShellAgent', keepOurs('ShellAgent')),
    ShellPolicy: reflect('ShellPolicy', keepOurs('ShellPolicy')),
    ShellPool: reflect('ShellPool', keepOurs('ShellPool')),
    Node: reflect('Node', keepNode),
  }
}

/** The cached object, for a write that names its version. */
function stored(reflectors: Reflectors, { kind, namespace, name }: ObjectRef): Stored | undefined {
  if (kind === 'Secret' || kind === 'ConfigMap' || kind === 'Node') return undefined
  const cached = reflectors[kind].get(namespace, name)
  if (!cached?.object) return undefined
  const { uid = '', finalizers = [], deletionTimestamp } = cached.object.metadata
  const deletion = deletionTimestamp ? { deletionTimestamp: String(deletionTimestamp) } : {}
  return { metadata: { uid, resourceVersion: cached.version, finalizers, ...deletion } }
}

type Keep<K extends CachedKind> = ConstructorParameters<typeof Reflector<Objects[K]>>[0]['keep']

/** Counts the objects of each namespace, and calls `onEmpty` after the last one is gone. */
function countObjects(onEmpty: (namespace: string) => void): (ref: ObjectRef, exists: boolean) => void {
  const namespaces = new Map<string, Set<string>>()
  return ({ kind, namespace, name }, exists) => {
    const objects = namespaces.get(namespace) ?? new Set<string>()
    if (exists) {
      namespaces.set(namespace, objects.add(`${kind}/${name}`))
    } else if (objects.delete(`${kind}/${name}`) && objects.size === 0) {
      namespaces.delete(namespace)
      onEmpty(namespace)
    }
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
