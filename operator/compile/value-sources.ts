import type { TemplateSpec } from '../../core/schema/template.ts'
import type { Clock } from '../../platform/clock.ts'
import type { LookedUpKind, Lookup, Resources } from '../resources/port.ts'
import { type Source, sourcesOf } from './env.ts'

/** Secrets and ConfigMaps as they were looked up last, and who rests on them. Values are kept in memory only. */
export interface Sources {
  /** `user`: comes back from `usersOf` when one of them changes. */
  lookUp(
    namespace: string,
    template: Pick<TemplateSpec, 'env' | 'envFrom' | 'host'>,
    user: string,
  ): Promise<(source: Source) => Lookup | undefined>
  /** It has changed: looked up anew next time. Answers who rests on it. */
  changed(kind: LookedUpKind, namespace: string, name: string): readonly string[]
  forget(user: string): void
}

/** A change that nobody told of is seen after this, ms. */
const KEPT_FOR_MS = 300_000

export function createSources(resources: Pick<Resources, 'lookUp'>, clock: Clock): Sources {
  const known = new Map<string, { lookup: Promise<Lookup>; until: number }>()
  const users = new Map<string, Set<string>>()
  const uses = new Map<string, Set<string>>()
  const keyOf = (namespace: string, { kind, name }: Source) => `${kind}/${namespace}/${name}`

  const lookUpOne = (namespace: string, source: Source): Promise<Lookup> => {
    const key = keyOf(namespace, source)
    const there = known.get(key)
    if (there && clock.monotonic() < there.until) return there.lookup
    const lookup = resources.lookUp(source.kind, namespace, source.name)
    const mine = { lookup, until: clock.monotonic() + KEPT_FOR_MS }
    known.set(key, mine)
    const drop = () => known.get(key) === mine && known.delete(key)
    lookup.then(({ kind }) => kind !== 'found' && drop(), drop)
    return lookup
  }
  const forget = (user: string) => {
    for (const key of uses.get(user) ?? []) {
      const group = users.get(key)
      group?.delete(user)
      if (group?.size === 0) {
        users.delete(key)
        known.delete(key)
      }
    }
    uses.delete(user)
  }

  return {
    async lookUp(namespace, template, user) {
      const sources = sourcesOf(template)
      const wanted = new Set(sources.map(source => keyOf(namespace, source)))
      const dropped = [...(uses.get(user) ?? [])].filter(key => !wanted.has(key))
      for (const key of dropped) users.get(key)?.delete(user)
      if (wanted.size > 0) uses.set(user, wanted)
      for (const key of wanted) users.set(key, (users.get(key) ?? new Set()).add(user))
      const found = await Promise.all(
        sources.map(async source => [keyOf(namespace, source), await lookUpOne(namespace, source)] as const),
      )
      const lookups = new Map(found)
      return source => lookups.get(keyOf(namespace, source))
    },
    changed(kind, namespace, name) {
      const key = keyOf(namespace, { kind, name })
      known.delete(key)
      return [...(users.get(key) ?? [])]
    },
    forget,
  }
}
