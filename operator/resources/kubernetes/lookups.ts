import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { accepted, type KubeApi, Refused } from '../../../platform/kubernetes/api.ts'
import type { Log } from '../../../platform/log.ts'
import { utf8 } from '../decode-utf8.ts'
import type { LookedUpKind, Lookup, ObjectRef } from '../port.ts'
import { listPath, objectPath } from './paths.ts'
import { Reflector } from './reflector.ts'

export interface LookupsOptions {
  api: KubeApi
  clock: Clock
  log: Log
  onChange: (ref: ObjectRef) => void
  /** See `ReflectorOptions`. */
  silentMs?: number
  /** How often an object is read again that may be read but not listed, ms. */
  pollInterval?: number
}

const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
}
const NO_OBJECT = ''
const POLL_INTERVAL_MS = 60_000

/** One kind in one namespace, with the versions of its objects. */
interface Scope {
  kind: LookedUpKind
  namespace: string
  /** By name, the version that was last read or reported. */
  reported: Map<string, string>
  versions: Reflector<string>
  stop: AbortController
}

/**
 * Secrets and ConfigMaps, read on demand and never cached. To notice changes, the versions (not the values) of their namespace are
 * watched. If the operator may only `get` them, as with a Role that names its Secrets, those in use are read again every minute.
 */
export class Lookups {
  readonly #options: LookupsOptions
  readonly #scopes = new Map<string, Scope>()

  constructor(options: LookupsOptions) {
    this.#options = options
  }

  async lookUp(kind: LookedUpKind, namespace: string, name: string): Promise<Lookup> {
    const scope = this.#scopeOf(kind, namespace)
    const before = listed(scope, name)
    const { lookup, version } = await this.#read(scope, name)
    scope.reported.set(name, version)
    // It was replaced during the read: the caller may have the old one, and no event will follow.
    const now = listed(scope, name)
    if (now !== before) this.#compare(scope, name, now)
    return lookup
  }

  /** Stops watching a namespace in which none of our objects is left. */
  forget(namespace: string): void {
    for (const [key, scope] of this.#scopes) {
      if (scope.namespace !== namespace) continue
      scope.stop.abort()
      this.#scopes.delete(key)
    }
  }

  /** Reports changes until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, pollInterval = POLL_INTERVAL_MS } = this.#options
    while (!signal.aborted) {
      await clock.sleep(pollInterval, signal).catch(() => undefined)
      for (const scope of this.#scopes.values()) {
        if (scope.versions.denied && !signal.aborted) await this.#poll(scope)
      }
    }
    for (const scope of this.#scopes.values()) scope.stop.abort()
  }

  #scopeOf(kind: LookedUpKind, namespace: string): Scope {
    const key = `${kind}/${namespace}`
    const known = this.#scopes.get(key)
    if (known) return known
    const versions: Reflector<string> = new Reflector({
      ...this.#options,
      path: listPath(kind, namespace),
      accept: METADATA_ONLY,
      keep: raw => raw.metadata.resourceVersion,
      onChange: (_, name) => this.#compare(scope, name, listed(scope, name)),
    })
    const scope: Scope = { kind, namespace, reported: new Map(), versions, stop: new AbortController() }
    this.#scopes.set(key, scope)
    void this.#follow(scope)
    return scope
  }

  async #follow(scope: Scope): Promise<void> {
    void scope.versions.run(scope.stop.signal)
    await scope.versions.synced
    // Some objects were read before the first list, and deleted meanwhile.
    for (const name of scope.reported.keys()) this.#compare(scope, name, listed(scope, name))
  }

  #compare(scope: Scope, name: string, version: string): void {
    const before = scope.reported.get(name)
    if (before === undefined || before === version) return
    scope.reported.set(name, version)
    this.#options.onChange({ kind: scope.kind, namespace: scope.namespace, name })
  }

  async #poll(scope: Scope): Promise<void> {
    const { kind, namespace } = scope
    for (const name of scope.reported.keys()) {
      try {
        this.#compare(scope, name, (await this.#read(scope, name)).version)
      } catch (error) {
        this.#options.log.warn({ kind, namespace, name, error: messageOf(error) }, 'lookup.failed')
      }
    }
  }

  async #read({ kind, namespace }: Scope, name: string): Promise<{ lookup: Lookup; version: string }> {
    const answer = await this.#options.api.request({ path: objectPath({ kind, namespace, name }) })
    if (answer.status === 404) return { lookup: { kind: 'absent' }, version: NO_OBJECT }
    if (answer.status === 403) {
      const { message } = new Refused(answer, `${kind} ${namespace}/${name}`)
      return { lookup: { kind: 'forbidden', message }, version: 'forbidden' }
    }
    const body = accepted(answer, `get ${kind} ${namespace}/${name}`) as Stored
    return { lookup: contents(kind, body), version: body.metadata.resourceVersion }
  }
}

function listed(scope: Scope, name: string): string {
  return scope.versions.get(scope.namespace, name)?.version ?? NO_OBJECT
}

interface Stored {
  metadata: { resourceVersion: string }
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

function contents(kind: LookedUpKind, stored: Stored): Lookup {
  const data: Record<string, string> = {}
  const notText = Object.keys(stored.binaryData ?? {})
  for (const [key, value] of Object.entries(stored.data ?? {})) {
    const text = utf8(Buffer.from(value, kind === 'Secret' ? 'base64' : 'utf8'))
    if (text === undefined) notText.push(key)
    else data[key] = text
  }
  return { kind: 'found', data, notText }
}
