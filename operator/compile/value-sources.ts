import type { TemplateSpec } from '../../core/schema/template.ts'
import type { Clock } from '../../platform/clock.ts'
import type { LookedUpKind, Lookup, Resources } from '../resources/port.ts'
import { type Source, sourcesOf } from './env.ts'

/** The Secrets and ConfigMaps that were looked up, and the objects that use them. Their values are kept in memory only. */
export interface Sources {
  /** `user`: the object that the template belongs to. `changed` returns it when one of its sources changes. */
  lookUp(
    namespace: string,
    template: Pick<TemplateSpec, 'env' | 'envFrom' | 'host'>,
    user: string,
  ): Promise<(source: Source) => Lookup | undefined>
  /** Forgets a source that has changed. Returns its users. */
  changed(kind: LookedUpKind, namespace: string, name: string): readonly string[]
  forget(user: string): void
}

/** A change that no event reported is seen after this, ms. */
const CACHED_FOR_MS = 300_000

export function createSources(resources: Pick<Resources, 'lookUp'>, clock: Clock): Sources {
  return new CachedSources(resources, clock)
}

class CachedSources implements Sources {
  readonly #resources: Pick<Resources, 'lookUp'>
  readonly #clock: Clock
  readonly #cache = new Map<string, { lookup: Promise<Lookup>; until: number }>()
  readonly #usersBySource = new Map<string, Set<string>>()
  readonly #sourcesByUser = new Map<string, Set<string>>()

  constructor(resources: Pick<Resources, 'lookUp'>, clock: Clock) {
    this.#resources = resources
    this.#clock = clock
  }

  async lookUp(
    namespace: string,
    template: Parameters<typeof sourcesOf>[0],
    user: string,
  ): Promise<(source: Source) => Lookup | undefined> {
    const sources = sourcesOf(template)
    this.#setSources(user, new Set(sources.map(source => keyOf(namespace, source))))
    const found = await Promise.all(
      sources.map(
        async source => [keyOf(namespace, source), await this.#lookUpOne(namespace, source)] as const,
      ),
    )
    const lookups = new Map(found)
    return source => lookups.get(keyOf(namespace, source))
  }

  changed(kind: LookedUpKind, namespace: string, name: string): readonly string[] {
    const key = keyOf(namespace, { kind, name })
    this.#cache.delete(key)
    return [...(this.#usersBySource.get(key) ?? [])]
  }

  forget(user: string): void {
    for (const key of this.#sourcesByUser.get(user) ?? []) {
      const users = this.#usersBySource.get(key)
      users?.delete(user)
      if (users?.size === 0) {
        this.#usersBySource.delete(key)
        this.#cache.delete(key)
      }
    }
    this.#sourcesByUser.delete(user)
  }

  #setSources(user: string, wanted: Set<string>): void {
    const dropped = [...(this.#sourcesByUser.get(user) ?? [])].filter(key => !wanted.has(key))
    for (const key of dropped) this.#usersBySource.get(key)?.delete(user)
    if (wanted.size > 0) this.#sourcesByUser.set(user, wanted)
    for (const key of wanted)
      this.#usersBySource.set(key, (this.#usersBySource.get(key) ?? new Set()).add(user))
  }

  #lookUpOne(namespace: string, source: Source): Promise<Lookup> {
    const key = keyOf(namespace, source)
    const cached = this.#cache.get(key)
    if (cached && this.#clock.monotonic() < cached.until) return cached.lookup
    const lookup = this.#resources.lookUp(source.kind, namespace, source.name)
    const item = { lookup, until: this.#clock.monotonic() + CACHED_FOR_MS }
    this.#cache.set(key, item)
    const drop = () => this.#cache.get(key) === item && this.#cache.delete(key)
    // Only values are cached: an absent or forbidden source is asked for again.
    lookup.then(({ kind }) => kind !== 'found' && drop(), drop)
    return lookup
  }
}

function keyOf(namespace: string, { kind, name }: Source): string {
  return `${kind}/${namespace}/${name}`
}
