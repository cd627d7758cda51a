import { createHash } from 'node:crypto'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { accepted, type KubeApi, MERGE_PATCH } from '../../../platform/kubernetes/api.ts'
import type { Log } from '../../../platform/log.ts'
import { untilAborted } from '../../until-aborted.ts'
import { setBounded } from '../bounded-map.ts'
import { createEventLimit } from '../event-limit.ts'
import type { ObjectRef, Occurrence } from '../port.ts'
import { apiVersionOf } from './paths.ts'

/**
 * Kubernetes Events: one for each object and reason. Its name is derived from both, so that a restarted operator continues the count.
 * They are sent in the background, one after another. Occurrences beyond the limit are only counted.
 */
export interface Events {
  record: (ref: ObjectRef, uid: string, occurrence: Occurrence) => void
  /** Sends Events until the signal aborts. */
  run: (signal: AbortSignal) => Promise<void>
}

interface Pending {
  ref: ObjectRef
  uid: string
  occurrence: Occurrence
  /** Occurrences that are not yet counted in the Event. */
  unsent: number
}

export function createEvents(options: { api: KubeApi; clock: Clock; log: Log }): Events {
  const events = new QueuedEvents(options)
  return {
    record: (ref, uid, occurrence) => events.record(ref, uid, occurrence),
    run: signal => events.run(signal),
  }
}

class QueuedEvents implements Events {
  readonly #options: { api: KubeApi; clock: Clock; log: Log }
  readonly #isAllowed: (uid: string) => boolean
  readonly #pending = new Map<string, Pending>()
  readonly #queue = new Set<string>()
  #wake = Promise.withResolvers<void>()

  constructor(options: { api: KubeApi; clock: Clock; log: Log }) {
    this.#options = options
    this.#isAllowed = createEventLimit(options.clock)
  }

  record(ref: ObjectRef, uid: string, occurrence: Occurrence): void {
    const key = `${uid}/${occurrence.reason}`
    const unsent = (this.#pending.get(key)?.unsent ?? 0) + 1
    setBounded(this.#pending, key, { ref, uid, occurrence, unsent })
    if (!this.#isAllowed(uid)) return
    this.#queue.add(key)
    this.#wake.resolve()
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopped = untilAborted(signal)
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers()
      for (const key of this.#queue) {
        this.#queue.delete(key)
        await this.#send(key, signal)
      }
      if (this.#queue.size === 0) await Promise.race([this.#wake.promise, stopped])
    }
  }

  async #send(key: string, signal: AbortSignal): Promise<void> {
    const event = this.#pending.get(key)
    if (!event) return
    const { api, clock, log } = this.#options
    const count = event.unsent
    event.unsent = 0
    try {
      await writeEvent(api, { ...event, count, now: new Date(clock.now()).toISOString(), signal })
    } catch (error) {
      event.unsent += count
      // Not retried: in a namespace that is being deleted it would fail forever. The next Event carries the count.
      const { ref, occurrence } = event
      log.debug({ ...ref, reason: occurrence.reason, error: messageOf(error) }, 'event.failed')
    }
  }
}

interface EventWrite extends Omit<Pending, 'unsent'> {
  count: number
  now: string
  signal: AbortSignal
}

/** Counts up the existing Event, or creates it. Kubernetes deletes Events after an hour; the count then starts again. */
async function writeEvent(api: KubeApi, event: EventWrite): Promise<void> {
  const { ref, occurrence, now, signal } = event
  // Kubernetes requires the namespace `default` for Events of cluster-scoped objects.
  const path = `/api/v1/namespaces/${ref.namespace || 'default'}/events`
  const name = eventName(event)
  const message = occurrence.message.slice(0, 1024)
  const existing = await api.request({ path: `${path}/${name}`, signal })
  if (existing.status === 404) {
    const body = { ...manifest(event), message, count: event.count, firstTimestamp: now }
    accepted(await api.request({ path, method: 'POST', body, signal }), `create event ${name}`)
    return
  }
  const before = accepted(existing, `get event ${name}`) as { count?: number }
  const body = {
    count: (before.count ?? 0) + event.count,
    message,
    type: occurrence.type,
    lastTimestamp: now,
  }
  const patch = { path: `${path}/${name}`, method: 'PATCH', body, contentType: MERGE_PATCH, signal } as const
  accepted(await api.request(patch), `count event ${name}`)
}

function manifest(event: EventWrite) {
  const { ref, uid, occurrence, now } = event
  const { kind, namespace, name } = ref
  return {
    metadata: { name: eventName(event), namespace: namespace || 'default' },
    involvedObject: { apiVersion: apiVersionOf(kind), kind, name, uid, ...(namespace ? { namespace } : {}) },
    reason: occurrence.reason,
    type: occurrence.type,
    lastTimestamp: now,
    source: { component: 'shellcron' },
    reportingComponent: 'shellcron.dev/operator',
    reportingInstance: 'operator',
  }
}

function eventName({ ref, uid, occurrence }: EventWrite): string {
  const hash = createHash('sha256').update(`${uid}/${occurrence.reason}`).digest('hex').slice(0, 16)
  return `${ref.name.slice(0, 200)}.${hash}`
}
