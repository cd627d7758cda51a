import type { Clock } from '../../../runtime/clock.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { Log } from '../../../runtime/log.ts'
import type { LookedUpKind, Lookup, ObjectRef } from '../port.ts'
import { utf8 } from '../text.ts'
import { accepted, type KubeApi, Refused } from './api.ts'
import { listPath, objectPath } from './paths.ts'
import { Reflector } from './reflector.ts'

/**
 * Secrets and ConfigMaps: read when asked for, never kept. To see that one was replaced, the versions (not the values) of those of its
 * namespace are followed; where only `get` is allowed, as with a Role that names its Secrets, those in use are read again every minute.
 */
export interface Lookups {
  lookUp: (kind: LookedUpKind, namespace: string, name: string) => Promise<Lookup>
  /** Nothing of ours is left in the namespace: what was looked up there is of no interest any more. */
  forget: (namespace: string) => void
  run: (signal: AbortSignal) => Promise<void>
}

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

const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
const NO_OBJECT = ''

/** One kind in one namespace. */
interface Place {
  kind: LookedUpKind
  namespace: string
  /** By name, the version that was told last. */
  told: Map<string, string>
  versions: Reflector<string>
  stop: AbortController
}

export function createLookups(options: LookupsOptions): Lookups {
  const { api, clock, log, onChange } = options
  const places = new Map<string, Place>()
  let running: AbortSignal | undefined

  const compare = (place: Place, name: string, version: string) => {
    const before = place.told.get(name)
    if (before === undefined || before === version) return
    place.told.set(name, version)
    onChange({ kind: place.kind, namespace: place.namespace, name })
  }
  const listed = (place: Place, name: string) =>
    place.versions.get(place.namespace, name)?.version ?? NO_OBJECT

  const placeOf = (kind: LookedUpKind, namespace: string): Place => {
    const key = `${kind}/${namespace}`
    const known = places.get(key)
    if (known) return known
    const versions: Reflector<string> = new Reflector<string>({
      ...options,
      path: listPath(kind, namespace),
      accept: METADATA_ONLY,
      keep: raw => raw.metadata.resourceVersion,
      onChange: (_, name) => compare(place, name, listed(place, name)),
    })
    const place: Place = { kind, namespace, told: new Map(), versions, stop: new AbortController() }
    places.set(key, place)
    void follow(place)
    return place
  }

  const follow = async (place: Place) => {
    const signal = running ? AbortSignal.any([place.stop.signal, running]) : place.stop.signal
    void place.versions.run(signal)
    await place.versions.synced
    // What was read before the first list, and is gone by then.
    for (const name of place.told.keys()) compare(place, name, listed(place, name))
  }

  const read = async (place: Place, name: string): Promise<{ lookup: Lookup; version: string }> => {
    const { kind, namespace } = place
    const path = objectPath({ kind, namespace, name })
    const answer = await api.request(running ? { path, signal: running } : { path })
    if (answer.status === 404) return { lookup: { kind: 'absent' }, version: NO_OBJECT }
    if (answer.status === 403) {
      const { message } = new Refused(answer, `${kind} ${namespace}/${name}`)
      return { lookup: { kind: 'forbidden', message }, version: 'forbidden' }
    }
    const body = accepted(answer, `get ${kind} ${namespace}/${name}`) as Stored
    return { lookup: contents(kind, body), version: body.metadata.resourceVersion }
  }

  const poll = async (place: Place) => {
    for (const name of place.told.keys()) {
      try {
        compare(place, name, (await read(place, name)).version)
      } catch (error) {
        log.warn(
          { kind: place.kind, namespace: place.namespace, name, error: messageOf(error) },
          'lookup.failed',
        )
      }
    }
  }

  return {
    async lookUp(kind, namespace, name) {
      const place = placeOf(kind, namespace)
      const before = listed(place, name)
      const { lookup, version } = await read(place, name)
      place.told.set(name, version)
      // It was replaced while we read: who asked may have the old one, and no event will come.
      const now = listed(place, name)
      if (now !== before) compare(place, name, now)
      return lookup
    },
    forget(namespace) {
      for (const [key, place] of places) {
        if (place.namespace !== namespace) continue
        place.stop.abort()
        places.delete(key)
      }
    },
    async run(signal) {
      running = signal
      while (!signal.aborted) {
        await clock.sleep(options.pollInterval ?? 60_000, signal).catch(() => undefined)
        for (const place of places.values()) {
          if (place.versions.denied && !signal.aborted) await poll(place)
        }
      }
      for (const place of places.values()) place.stop.abort()
    },
  }
}

interface Stored {
  metadata: { resourceVersion: string }
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

function contents(kind: LookedUpKind, stored: Stored): Lookup {
  if (kind === 'ConfigMap') {
    return { kind: 'found', data: stored.data ?? {}, notText: Object.keys(stored.binaryData ?? {}) }
  }
  const data: Record<string, string> = {}
  const notText: string[] = []
  for (const [key, value] of Object.entries(stored.data ?? {})) {
    const text = utf8(Buffer.from(value, 'base64'))
    if (text === undefined) notText.push(key)
    else data[key] = text
  }
  return { kind: 'found', data, notText }
}
