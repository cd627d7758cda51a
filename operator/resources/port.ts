import type { ShellAgent, ShellCronJob, ShellPolicy, ShellPool, ShellRun } from '../../core/schema/objects.ts'

/** The fields of a Kubernetes Node that the operator uses. A directory has none. */
export interface Node {
  kind: 'Node'
  metadata: { name: string; uid: string; labels: Readonly<Record<string, string>> }
  /** The Node's Ready condition. */
  ready: boolean
}

/** The kinds that are cached as whole objects. */
export interface Objects {
  ShellCronJob: ShellCronJob
  ShellRun: ShellRun
  ShellAgent: ShellAgent
  ShellPolicy: ShellPolicy
  ShellPool: ShellPool
  Node: Node
}

export type CachedKind = keyof Objects
/** The kinds that are read on demand, because their values are confidential. */
export type LookedUpKind = 'Secret' | 'ConfigMap'

/** Kinds without a namespace. */
export const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['ShellAgent', 'ShellPolicy', 'ShellPool', 'Node'])

export interface ObjectRef {
  kind: CachedKind | LookedUpKind
  /** '' if the kind is cluster-scoped. */
  namespace: string
  name: string
}

/** The contents of a Secret or ConfigMap. `notText` has the keys whose value is not UTF-8 or has a NUL byte; `data` leaves them out. */
export type Lookup =
  | { kind: 'found'; data: Readonly<Record<string, string>>; notText: readonly string[] }
  | { kind: 'absent' }
  /** The operator may not read it. `message` is the server's. */
  | { kind: 'forbidden'; message: string }

/** An Event about an object. One PascalCase reason serves log, metric, Event and condition alike. */
export interface Occurrence {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

/**
 * A problem of a file. If the file cannot be applied, its objects keep their last good version. `file` may also name another thing that
 * needs attention, such as the log store.
 */
export interface Problem {
  file: string
  /** Counted from 1, if it is known. */
  line?: number
  /** The path of the field as the user wrote it, if the problem is about a field. */
  field?: string
  message: string
}

/** `message`: the server's. */
export interface Denial {
  kind: CachedKind
  message: string
}

/** 'gone': the object does not exist, or another one has its name. */
export type Written = 'applied' | 'gone'

/** Our only finalizer: a deleted object stays until its runs have ended and its keys are deleted. */
export const FINALIZER = 'shellcron.dev/runs'

/**
 * The operator's objects, on an API server or in a directory. Reads come from a cache, which is complete once `start` has resolved. The
 * objects that they return must not be changed. A write is for one uid, has a deadline, and may be repeated; it throws `Unavailable` if
 * the server cannot be reached or rejects it for now. A deleted object with our finalizer stays, with `metadata.deletionTimestamp`, until
 * the finalizer is removed.
 */
export interface Resources {
  /** Resolves after the first complete list of every kind, however long that takes. Watches until the signal aborts. */
  start(signal: AbortSignal): Promise<void>

  /** `namespace` is '' for a kind without one. */
  get<K extends CachedKind>(kind: K, namespace: string, name: string): Objects[K] | undefined
  /**
   * Why an existing object cannot be read, for instance because a newer version of ShellCron has written it. `get` and `list` then return
   * its last readable form, or nothing. An object that is missing there must not be taken for deleted.
   */
  unreadable(kind: CachedKind, namespace: string, name: string): string | undefined
  /** The uids of all existing objects, unreadable ones included. */
  uids(kind: CachedKind): readonly string[]
  /** A new array of the readable objects, in no order. */
  list<K extends CachedKind>(kind: K): readonly Objects[K][]
  /**
   * Whether the object's stored status is a verdict on its present generation: clients such as Argo CD and Flux do not wait for it. It
   * decides only which status is written first. Facts never come from a stored status.
   */
  isSettled(ref: ObjectRef): boolean
  /** Called when an object may have come, changed or gone; also for Secrets and ConfigMaps that were looked up before. */
  onChange(listener: (ref: ObjectRef) => void): () => void
  /** Called within seconds when somebody else may have written an object's status. Never called in a directory, whose statuses nobody else writes. */
  onForeignStatus(listener: (ref: ObjectRef) => void): () => void
  /** Kinds that the source does not let the operator list or watch at the moment. Always empty in a directory. */
  denied(): readonly Denial[]
  /** ms since the most silent source last answered. It grows while a source cannot be reached. */
  staleForMs(): number

  /** Reads it from the source at each call. From then on `onChange` reports its changes, while its namespace has any of our objects. */
  lookUp(kind: LookedUpKind, namespace: string, name: string): Promise<Lookup>

  /** Replaces our part of the status: fields that an earlier call set and this one does not are removed. */
  applyStatus(ref: ObjectRef, uid: string, status: Readonly<Record<string, unknown>>): Promise<Written>
  /** Adds or removes `FINALIZER`. It cannot be added to an object that is being deleted: 'gone'. */
  setFinalizer(ref: ObjectRef, uid: string, present: boolean): Promise<Written>
  /** null removes the annotation. */
  annotate(
    ref: ObjectRef,
    uid: string,
    annotations: Readonly<Record<string, string | null>>,
  ): Promise<Written>
  /** Writes one Event for each object and reason, with a count: at most 25 at once, then one in 5 minutes per object. Never blocks or throws. */
  event(ref: ObjectRef, uid: string, occurrence: Occurrence): void

  /** Creates the agent of a Node, or sets exactly the given fields. Fails in a directory, which has no Nodes. */
  putAgent(agent: AgentManifest): Promise<void>
  /** Creates a ShellRun as a user would. Reads show it soon, if not at once. 'exists': there is one of this name; it is unchanged. */
  createRun(manifest: RunManifest): Promise<{ kind: 'created'; uid: string } | { kind: 'exists' }>
  /** Deletes the object. In a directory an object belongs to its file and is 'kept', unless `createRun` created it. */
  remove(ref: ObjectRef, uid: string): Promise<'removed' | 'kept'>

  /** The present problems of files. Always empty on Kubernetes, which rejects invalid objects itself. */
  problems(): readonly Problem[]
  onProblems(listener: (problems: readonly Problem[]) => void): () => void
}

/** A ShellRun as its author wrote it, after validation. */
export interface RunManifest {
  namespace: string
  name: string
  labels?: Readonly<Record<string, string>>
  annotations?: Readonly<Record<string, string>>
  spec: Readonly<Record<string, unknown>>
}

/** The fields that the operator sets of a Node's ShellAgent. All other fields belong to the users. */
export interface AgentManifest {
  name: string
  labels?: Readonly<Record<string, string>>
  /** The Node that owns it. Kubernetes deletes the agent with its Node. */
  node: { name: string; uid: string }
  spec: Readonly<Record<string, unknown>>
}
