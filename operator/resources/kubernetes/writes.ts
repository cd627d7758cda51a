import {
  type Answer,
  APPLY_PATCH,
  accepted,
  type KubeApi,
  MERGE_PATCH,
  Refused,
} from '../../../platform/kubernetes/api.ts'
import { type AgentManifest, FINALIZER, type ObjectRef, type Resources, type Written } from '../port.ts'
import { API_VERSION, apiVersionOf, listPath, objectPath } from './paths.ts'

type Writes = Pick<
  Resources,
  'applyStatus' | 'setFinalizer' | 'annotate' | 'putAgent' | 'createRun' | 'remove'
>

/** The fields of an object that a write needs. */
export interface Stored {
  metadata: {
    uid: string
    resourceVersion: string
    finalizers?: string[]
    deletionTimestamp?: string
  }
}

const APPLY = 'fieldManager=shellcron&force=true'
const MAX_ATTEMPTS = 5

/**
 * Every write names the uid that it is for, and the server rejects it for a later object of the same name. A status is the exception: the
 * server ignores its metadata. So the uid is compared with the cached object before, and with the answer after. `cached`: the object as
 * the watch last showed it. `onStatus` gets the version that a written status has.
 */
export function createWrites(
  api: KubeApi,
  of: {
    cached(ref: ObjectRef): Stored | undefined
    onStatus(ref: ObjectRef, version: string): void
  },
): Writes {
  const { cached } = of
  const writer = new Writer(api, of.onStatus)
  return {
    applyStatus: (ref, uid, status) =>
      cached(ref)?.metadata.uid === uid ? writer.applyStatus(ref, uid, status) : Promise.resolve('gone'),
    setFinalizer: (ref, uid, present) => writer.setFinalizer({ ref, uid, present }, cached(ref)),
    annotate: (ref, uid, annotations) => writer.annotate(ref, uid, annotations),
    putAgent: agent => writer.putAgent(agent),
    createRun: manifest => writer.createRun(manifest),
    remove: (ref, uid) => writer.remove(ref, uid),
  }
}

class Writer {
  readonly #api: KubeApi
  readonly #onStatus: (ref: ObjectRef, version: string) => void

  constructor(api: KubeApi, onStatus: (ref: ObjectRef, version: string) => void) {
    this.#api = api
    this.#onStatus = onStatus
  }

  async applyStatus(ref: ObjectRef, uid: string, status: object): Promise<Written> {
    const { kind, namespace, name } = ref
    const metadata = { name, ...(namespace ? { namespace } : {}) }
    const body = { apiVersion: apiVersionOf(kind), kind, metadata, status }
    const answer = await this.#apply(`${objectPath(ref)}/status`, body)
    if (answer.status < 300) {
      const { metadata, status: now = {} } = answer.body as Stored & { status?: object }
      if (metadata.uid !== uid) return 'gone'
      this.#onStatus(ref, metadata.resourceVersion)
      await this.#removeOthers(
        ref,
        uid,
        Object.keys(now).filter(field => !isSet(status, field)),
      )
    }
    return this.#unlessGone(answer, ref, uid)
  }

  /** Removes fields that somebody else has put into the status. Server-side apply leaves them. */
  async #removeOthers(ref: ObjectRef, uid: string, fields: readonly string[]): Promise<void> {
    if (fields.length === 0) return
    const status = Object.fromEntries(fields.map(field => [field, null]))
    const answer = await this.#api.request({
      path: `${objectPath(ref)}/status`,
      method: 'PATCH',
      body: { metadata: { uid }, status },
      contentType: MERGE_PATCH,
    })
    if (answer.status < 300) this.#onStatus(ref, (answer.body as Stored).metadata.resourceVersion)
  }

  /**
   * A merge patch that names the resource version. Server-side apply could not remove a finalizer that another client's update had come to
   * own, and the object would stay forever.
   */
  async setFinalizer(
    { ref, uid, present }: { ref: ObjectRef; uid: string; present: boolean },
    cached: Stored | undefined,
  ): Promise<Written> {
    // The cached object serves for a first attempt. It is read again after a conflict, and before "nothing to do" is returned.
    const isUsable = cached?.metadata.uid === uid && hasFinalizer(cached) !== present
    let stored = isUsable ? cached : await this.#read(ref, uid)
    for (let attempt = 1; ; attempt++) {
      if (!stored) return 'gone'
      if (hasFinalizer(stored) === present) return 'applied'
      const { finalizers = [], resourceVersion, deletionTimestamp } = stored.metadata
      if (present && deletionTimestamp !== undefined) return 'gone'
      const others = finalizers.filter(one => one !== FINALIZER)
      const next = present ? [...others, FINALIZER] : others
      const answer = await this.#patch(ref, { resourceVersion, finalizers: next })
      if (answer.status !== 409 || attempt === MAX_ATTEMPTS) return this.#unlessGone(answer, ref, uid)
      stored = await this.#read(ref, uid)
    }
  }

  async annotate(
    ref: ObjectRef,
    uid: string,
    annotations: Readonly<Record<string, string | null>>,
  ): Promise<Written> {
    return this.#unlessGone(await this.#patch(ref, { uid, annotations }), ref, uid)
  }

  async putAgent(agent: AgentManifest): Promise<void> {
    const ref: ObjectRef = { kind: 'ShellAgent', namespace: '', name: agent.name }
    accepted(await this.#apply(objectPath(ref), agentBody(agent)), `put ${describe(ref)}`)
  }

  async createRun(manifest: Parameters<Writes['createRun']>[0]): ReturnType<Writes['createRun']> {
    const { namespace, spec, ...rest } = manifest
    const answer = await this.#api.request({
      path: listPath('ShellRun', namespace),
      method: 'POST',
      body: { apiVersion: API_VERSION, kind: 'ShellRun', metadata: rest, spec },
    })
    if (answer.status === 409) return { kind: 'exists' }
    const { metadata } = accepted(answer, `create ShellRun ${namespace}/${manifest.name}`) as Stored
    return { kind: 'created', uid: metadata.uid }
  }

  async remove(ref: ObjectRef, uid: string): Promise<'removed'> {
    const answer = await this.#api.request({
      path: objectPath(ref),
      method: 'DELETE',
      body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid } },
    })
    const isConflict = answer.status === 409
    if (isConflict && (await this.#read(ref, uid))) throw new Refused(answer, `delete ${describe(ref)}`)
    if (!isConflict && answer.status !== 404) accepted(answer, `delete ${describe(ref)}`)
    return 'removed'
  }

  async #read(ref: ObjectRef, uid: string): Promise<Stored | undefined> {
    const answer = await this.#api.request({ path: objectPath(ref) })
    if (answer.status === 404) return undefined
    const stored = accepted(answer, `get ${describe(ref)}`) as Stored
    return stored.metadata.uid === uid ? stored : undefined
  }

  /** A rejection may be about the uid, which the server words in several ways. Reading the object settles it. */
  async #unlessGone(answer: Answer, ref: ObjectRef, uid: string): Promise<Written> {
    if (answer.status < 300) return 'applied'
    if (answer.status === 404 || !(await this.#read(ref, uid))) return 'gone'
    accepted(answer, `write ${describe(ref)}`)
    return 'applied'
  }

  #patch(ref: ObjectRef, metadata: Record<string, unknown>): Promise<Answer> {
    const path = objectPath(ref)
    return this.#api.request({ path, method: 'PATCH', body: { metadata }, contentType: MERGE_PATCH })
  }

  #apply(path: string, body: object): Promise<Answer> {
    const query = `${path}?${APPLY}`
    return this.#api.request({ path: query, method: 'PATCH', body, contentType: APPLY_PATCH })
  }
}

function isSet(status: object, field: string): boolean {
  return (status as Record<string, unknown>)[field] !== undefined
}

function hasFinalizer({ metadata }: Stored): boolean {
  return metadata.finalizers?.includes(FINALIZER) ?? false
}

function agentBody({ name, labels, node, spec }: AgentManifest) {
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid }
  const metadata = { name, ...(labels ? { labels } : {}), ownerReferences: [owner] }
  return { apiVersion: API_VERSION, kind: 'ShellAgent', metadata, spec }
}

function describe({ kind, namespace, name }: ObjectRef): string {
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}
