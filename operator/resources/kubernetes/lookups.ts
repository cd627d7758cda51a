import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import { utf8 } from '../decode-utf8.ts'
import type { LookedUpKind, Lookup, ObjectRef } from '../port.ts'
import { accepted, type KubeApi, Refused } from './api.ts'
import { listPath, objectPath } from './paths.ts'
import { Reflector } from './reflector.ts'

export interface LookupsOptions {
  api: KubeApi
  clock: Clock
  log: Log
  onChange: (ref: ObjectRef) => void
  /** As of a `Reflector`. */
  silence?: number
  /** How often what may be got but not listed is read again, in ms. */
  pollInterval?: number
}

const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
}
const NO_OBJECT = ''
const POLL_INTERVAL = 60_000

/** One kind in one namespace. */
interface Place {
  kind: LookedUpKind
  namespace: string
  /** By name, the version that was read or told last. */
  told: Map<string, string>
  versions: Reflector<string>
  stop: AbortController
}

/**
 * Secrets and ConfigMaps: read when asked for, never kept. To see that one was replaced, the versions (not the values) of those of its
 * namespace are followed; where only `get` is allowed, as with a Role that names its Secrets, those in use are read again every minute.
 */
export class Lookups {
  readonly #options: LookupsOptions
  readonly #places = new Map<string, Place>()

  constructor(options: LookupsOptions) {
    this.#options = options
  }

  async lookUp(kind: LookedUpKind, namespace: string, name: string): Promise<Lookup> {
    const place = this.#placeOf(kind, namespace)
    const before = listed(place, name)
    const { lookup, version } = await this.#read(place, name)
    place.told.set(name, version)
    // It was replaced while we read: who asked may have the old one, and no event will come.
    const now = listed(place, name)
    if (now !== before) this.#compare(place, name, now)
    return lookup
  }

  /** Nothing of ours is left in the namespace: what was looked up there is of no interest any more. */
  forget(namespace: string): void {
    for (const [key, place] of this.#places) {
      if (place.namespace !== namespace) continue
      place.stop.abort()
      this.#places.delete(key)
    }
  }

  /** Until the signal aborts, changes are told; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, pollInterval = POLL_INTERVAL } = this.#options
    while (!signal.aborted) {
      await clock.sleep(pollInterval, signal).catch(() => undefined)
      for (const place of this.#places.values()) {
        if (place.versions.denied && !signal.aborted) await this.#poll(place)
      }
    }
    for (const place of this.#places.values()) place.stop.abort()
  }

  #placeOf(kind: LookedUpKind, namespace: string): Place {
    const key = `${kind}/${namespace}`
    const known = this.#places.get(key)
    if (known) return known
    const versions: Reflector<string> = new Reflector({
      ...this.#options,
      path: listPath(kind, namespace),
      accept: METADATA_ONLY,
      keep: raw => raw.metadata.resourceVersion,
      onChange: (_, name) => this.#compare(place, name, listed(place, name)),
    })
    const place: Place = { kind, namespace, told: new Map(), versions, stop: new AbortController() }
    this.#places.set(key, place)
    void this.#follow(place)
    return place
  }

  async #follow(place: Place): Promise<void> {
    void place.versions.run(place.stop.signal)
    await place.versions.synced
    // What was read before the first list, and is gone by then.
    for (const name of place.told.keys()) this.#compare(place, name, listed(place, name))
  }

  #compare(place: Place, name: string, version: string): void {
    const before = place.told.get(name)
    if (before === undefined || before === version) return
    place.told.set(name, version)
    this.#options.onChange({ kind: place.kind, namespace: place.namespace, name })
  }

  async #poll(place: Place): Promise<void> {
    const { kind, namespace } = place
    for (const name of place.told.keys()) {
      try {
        this.#compare(place, name, (await this.#read(place, name)).version)
      } catch (error) {
        this.#options.log.warn({ kind, namespace, name, error: messageOf(error) }, 'lookup.failed')
      }
    }
  }

  async #read({ kind, namespace }: Place, name: string): Promise<{ lookup: Lookup; version: string }> {
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

function listed(place: Place, name: string): string {
  return place.versions.get(place.namespace, name)?.version ?? NO_OBJECT
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
