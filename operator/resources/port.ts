import type { ShellAgent, ShellCronJob, ShellPolicy, ShellPool, ShellRun } from '../../core/schema/objects.ts'

/** A machine of the cluster, as far as anybody here cares. In a directory there are none. */
export interface Node {
  kind: 'Node'
  metadata: { name: string; uid: string; labels: Readonly<Record<string, string>> }
  /** The kubelet says so. */
  ready: boolean
}

/** What is cached whole, by kind. */
export interface Objects {
  ShellCronJob: ShellCronJob
  ShellRun: ShellRun
  ShellAgent: ShellAgent
  ShellPolicy: ShellPolicy
  ShellPool: ShellPool
  Node: Node
}

export type CachedKind = keyof Objects
/** Kinds that are read when somebody asks, as their values are nobody else's business. */
export type LookedUpKind = 'Secret' | 'ConfigMap'

/** Kinds without a namespace. */
export const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['ShellAgent', 'ShellPolicy', 'ShellPool', 'Node'])

export interface ObjectRef {
  kind: CachedKind | LookedUpKind
  /** '' if the kind is cluster-scoped. */
  namespace: string
  name: string
}

/** What a Secret or ConfigMap holds. `notText` names the keys whose value is not UTF-8 or has a NUL, which `data` leaves out. */
export type Lookup =
  | { kind: 'found'; data: Readonly<Record<string, string>>; notText: readonly string[] }
  | { kind: 'absent' }
  /** We may not read it. `message` says who may not read what, in the server's words. */
  | { kind: 'forbidden'; message: string }

/** Something to be told to who edits the object. One PascalCase reason serves log, metric, Event and condition alike. */
export interface Occurrence {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

/**
 * A file that cannot be taken over as it is: its objects stay as they were when it last could. Or one that should be mended, or `file` names
 * something else that should, as the log store.
 */
export interface Problem {
  file: string
  /** Counted from 1, where it is known. */
  line?: number
  /** The path as the user wrote it, where it is about a field. */
  field?: string
  message: string
}

/** 'gone': there is no such object, or one of the same name with another uid. */
export type Written = 'applied' | 'gone'

/** The one finalizer of ours: it lets a deleted object's runs be ended and its keys be removed. */
export const FINALIZER = 'shellcron.dev/runs'

/**
 * The operator's objects, wherever they live. Reads come from a cache that is complete once `start` has resolved and never
 * needs anybody to ask; nothing that is read may be changed. Writes are for one life of an object (its uid), have a
 * deadline, and may be repeated; they throw `Unavailable` when nobody answers, or not for now.
 * A deleted object with our finalizer stays, with `metadata.deletionTimestamp`, until the finalizer is taken away.
 */
export interface Resources {
  /** Resolves after the first complete list of every kind, however long that takes; goes on watching until the signal aborts. */
  start(signal: AbortSignal): Promise<void>

  /** `namespace` is '' for a kind without one. */
  get<K extends CachedKind>(kind: K, namespace: string, name: string): Objects[K] | undefined
  /**
   * Why an object that exists cannot be read, as when a newer version of ours has written it. `get` and `list` then have its last
   * readable form, or nothing, and that it is missing there must not be taken for its end.
   */
  unreadable(kind: CachedKind, namespace: string, name: string): string | undefined
  /** Of all that exist, those too that cannot be read: what asks only whether an object lives asks here. */
  uids(kind: CachedKind): readonly string[]
  /** A new array of the cached objects that can be read, in no order. */
  list<K extends CachedKind>(kind: K): readonly Objects[K][]
  /** The object, or the Secret or ConfigMap that was looked up before, may have changed, come or gone: look again. */
  onChange(listener: (ref: ObjectRef) => void): () => void
  /** ms since the most silent source was last known to be alive; grows while one cannot be reached. */
  silence(): number

  /** Read anew at each call. From then on `onChange` tells of its changes, as long as its namespace holds any of our objects. */
  lookUp(kind: LookedUpKind, namespace: string, name: string): Promise<Lookup>

  /** The whole of what we say about the object: fields that an earlier call set and this one does not are removed. */
  applyStatus(ref: ObjectRef, uid: string, status: Readonly<Record<string, unknown>>): Promise<Written>
  /** Adds or removes `FINALIZER`. To add it to an object that is being deleted is not possible: 'gone'. */
  setFinalizer(ref: ObjectRef, uid: string, present: boolean): Promise<Written>
  /** null removes the annotation. */
  annotate(
    ref: ObjectRef,
    uid: string,
    annotations: Readonly<Record<string, string | null>>,
  ): Promise<Written>
  /** One Event per object and reason, counted up; at most 25 at once and then one in 5 minutes per object. Never blocks, never throws. */
  event(ref: ObjectRef, uid: string, occurrence: Occurrence): void

  /** Creates the agent of a Node, or sets exactly the given fields. Not in a directory, which has no Nodes. */
  putAgent(agent: AgentManifest): Promise<void>
  /** Makes a ShellRun as a user does; reads show it soon, if not at once. 'exists': there is one of that name, as it was. */
  createRun(manifest: RunManifest): Promise<{ kind: 'created'; uid: string } | { kind: 'exists' }>
  /** Deletes the object. In a directory objects belong to their files, and stay ('kept'), but for those that `createRun` made. */
  remove(ref: ObjectRef, uid: string): Promise<'removed' | 'kept'>

  /** What is wrong with the files now. Always empty on Kubernetes, which refuses such objects itself. */
  problems(): readonly Problem[]
  onProblems(listener: (problems: readonly Problem[]) => void): () => void
}

/** A ShellRun as somebody wrote it, and as it has been found good. */
export interface RunManifest {
  namespace: string
  name: string
  labels?: Readonly<Record<string, string>>
  annotations?: Readonly<Record<string, string>>
  spec: Readonly<Record<string, unknown>>
}

/** What the operator sets of a ShellAgent that it makes for a Node: what it leaves out is the users'. */
export interface AgentManifest {
  name: string
  labels?: Readonly<Record<string, string>>
  /** The Node that owns it: the agent goes with it. */
  node: { name: string; uid: string }
  spec: Readonly<Record<string, unknown>>
}
