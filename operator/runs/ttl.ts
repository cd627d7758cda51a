import type { Metadata, ShellRun } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'

/** ttlSecondsAfterFinished. Counted from when this life saw the end, so that a restart makes an object live longer, never shorter. */
export interface Ttl {
  /** The ShellRun has ended: deletes it in time, or answers when it will be. */
  ended(object: ShellRun): Promise<Again>
  /** `key`: `<namespace>/<name>`. */
  forget(key: string): void
}

/** Marks of Argo CD and Flux: what they own they would make again, and so run it again. */
const OWNERS = [
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
        const message = `spec.ttlSecondsAfterFinished is ignored: the object has ${owner}, and would be made and run again`
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

/** The mark by which somebody owns it. */
export function ownerOf({ labels = {}, annotations = {} }: Metadata): string | undefined {
  return OWNERS.find(mark => mark in labels || mark in annotations)
}
