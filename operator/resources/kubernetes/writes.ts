import { type AgentManifest, FINALIZER, type ObjectRef, type Resources, type Written } from '../port.ts'
import { type Answer, APPLY_PATCH, accepted, type KubeApi, MERGE_PATCH, Refused } from './api.ts'
import { API_VERSION, apiVersionOf, listPath, objectPath } from './paths.ts'

type Writes = Pick<
  Resources,
  'applyStatus' | 'setFinalizer' | 'annotate' | 'putAgent' | 'createRun' | 'remove'
>

/** What a write has to know of the object. */
export interface Stored {
  metadata: {
    uid: string
    resourceVersion: string
    finalizers?: string[]
    deletionTimestamp?: string
  }
}

const APPLY = 'fieldManager=shellcron&force=true'
const ATTEMPTS = 5

/**
 * Every write names the uid that it is for, and the server refuses it for an object of the same name that came later; but for a
 * status, whose metadata it does not look at. There we look before, at what we know, and after.
 */
export function createWrites(api: KubeApi, known: (ref: ObjectRef) => Stored | undefined): Writes {
  const read = async (ref: ObjectRef, uid: string): Promise<Stored | undefined> => {
    const answer = await api.request({ path: objectPath(ref) })
    if (answer.status === 404) return undefined
    const stored = accepted(answer, `get ${nameOf(ref)}`) as Stored
    return stored.metadata.uid === uid ? stored : undefined
  }
  /** A refusal may be about the uid, which the server words in several ways; so look. */
  const unlessGone = async (answer: Answer, ref: ObjectRef, uid: string): Promise<Written> => {
    if (answer.status < 300) return 'applied'
    if (answer.status === 404 || !(await read(ref, uid))) return 'gone'
    accepted(answer, `write ${nameOf(ref)}`)
    return 'applied'
  }
  const patch = (ref: ObjectRef, metadata: Record<string, unknown>): Promise<Answer> =>
    api.request({ path: objectPath(ref), method: 'PATCH', body: { metadata }, contentType: MERGE_PATCH })

  return {
    async applyStatus(ref, uid, status) {
      if (known(ref)?.metadata.uid !== uid) return 'gone'
      const { kind, namespace, name } = ref
      const metadata = { name, ...(namespace ? { namespace } : {}) }
      const answer = await api.request({
        path: `${objectPath(ref)}/status?${APPLY}`,
        method: 'PATCH',
        body: { apiVersion: apiVersionOf(kind), kind, metadata, status },
        contentType: APPLY_PATCH,
      })
      if (answer.status < 300 && (answer.body as Stored).metadata.uid !== uid) return 'gone'
      return unlessGone(answer, ref, uid)
    },

    /**
     * Not by server-side apply: it could not take away a finalizer that somebody else's update had also come to own, and the object
     * would stay forever.
     */
    async setFinalizer(ref, uid, present) {
      // What we know is good enough to try; to leave things as they are, or after a conflict, we look.
      const first = known(ref)
      let stored = first?.metadata.uid === uid && has(first) !== present ? first : await read(ref, uid)
      for (let attempt = 1; ; attempt++) {
        if (!stored) return 'gone'
        if (has(stored) === present) return 'applied'
        const { finalizers = [], resourceVersion, deletionTimestamp } = stored.metadata
        if (present && deletionTimestamp !== undefined) return 'gone'
        const others = finalizers.filter(one => one !== FINALIZER)
        const answer = await patch(ref, {
          resourceVersion,
          finalizers: present ? [...others, FINALIZER] : others,
        })
        if (answer.status !== 409 || attempt === ATTEMPTS) return unlessGone(answer, ref, uid)
        stored = await read(ref, uid)
      }
    },

    async annotate(ref, uid, annotations) {
      return unlessGone(await patch(ref, { uid, annotations }), ref, uid)
    },

    async putAgent(agent) {
      const ref: ObjectRef = { kind: 'ShellAgent', namespace: '', name: agent.name }
      const answer = await api.request({
        path: `${objectPath(ref)}?${APPLY}`,
        method: 'PATCH',
        body: agentBody(agent),
        contentType: APPLY_PATCH,
      })
      accepted(answer, `put ${nameOf(ref)}`)
    },

    async createRun(manifest) {
      const { namespace, spec, ...rest } = manifest
      const answer = await api.request({
        path: listPath('ShellRun', namespace),
        method: 'POST',
        body: { apiVersion: API_VERSION, kind: 'ShellRun', metadata: rest, spec },
      })
      if (answer.status === 409) return { kind: 'exists' }
      const { metadata } = accepted(answer, `create ShellRun ${namespace}/${manifest.name}`) as Stored
      return { kind: 'created', uid: metadata.uid }
    },

    async remove(ref, uid) {
      const answer = await api.request({
        path: objectPath(ref),
        method: 'DELETE',
        body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid } },
      })
      if (answer.status === 409 && (await read(ref, uid))) {
        throw new Refused(answer, `delete ${nameOf(ref)}`)
      }
      if (answer.status !== 404 && answer.status !== 409) accepted(answer, `delete ${nameOf(ref)}`)
      return 'removed'
    },
  }
}

function has({ metadata }: Stored): boolean {
  return metadata.finalizers?.includes(FINALIZER) ?? false
}

function agentBody({ name, labels, node, spec }: AgentManifest) {
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid }
  const metadata = { name, ...(labels ? { labels } : {}), ownerReferences: [owner] }
  return { apiVersion: API_VERSION, kind: 'ShellAgent', metadata, spec }
}

function nameOf({ kind, namespace, name }: ObjectRef): string {
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}
