import type { Metadata, ShellRun } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'

/** ttlSecondsAfterFinished, counted from when this process saw the end. A restart lets an object live longer, never shorter. */
export interface Ttl {
  /** The ShellRun has ended. Deletes it if its TTL has passed, otherwise returns when to call again. */
  ended(object: ShellRun): Promise<Again>
  /** `key`: `<namespace>/<name>`. */
  forget(key: string): void
}

/** Labels and annotations of Argo CD and Flux. Those would create a deleted object again, and so run it again. */
const GITOPS_MARKS = [
  'argocd.argoproj.io/tracking-id',
  'argocd.argoproj.io/instance',
  'kustomize.toolkit.fluxcd.io/name',
  'helm.toolkit.fluxcd.io/name',
]

export function createTtl({ resources, clock, log }: Pick<Context, 'resources' | 'clock' | 'log'>): Ttl {
  const endedAt = new Map<string, number>()
  return {
    forget: key => void endedAt.delete(key),
    async ended({ metadata, spec }) {
      const { ttlSecondsAfterFinished: seconds } = spec
      if (seconds === undefined) return undefined
      const { namespace, name, uid } = identify(metadata)
      const ref = { kind: 'ShellRun' as const, namespace, name }
      const owner = ownerOf(metadata)
      if (owner) {
        const message = `spec.ttlSecondsAfterFinished is ignored: ${owner} shows that GitOps owns this object, and would create and run it again; remove the field`
        resources.event(ref, uid, { type: 'Warning', reason: 'TTLIgnored', message })
        return undefined
      }
      const key = `${namespace}/${name}`
      const since = endedAt.get(key) ?? clock.monotonic()
      endedAt.set(key, since)
      const left = since + seconds * 1_000 - clock.monotonic()
      if (left > 0) return { inMs: left }
      if ((await resources.remove(ref, uid)) === 'removed') log.info({ ...ref }, 'run.expired')
      return undefined
    },
  }
}

/** The label or annotation that shows the GitOps controller that owns the object. */
export function ownerOf({ labels = {}, annotations = {} }: Metadata): string | undefined {
  return GITOPS_MARKS.find(mark => mark in labels || mark in annotations)
}
