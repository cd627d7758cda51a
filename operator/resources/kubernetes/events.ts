import { createHash } from 'node:crypto'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import { setBounded } from '../bounded-map.ts'
import { createEventLimit } from '../event-limit.ts'
import type { ObjectRef, Occurrence } from '../port.ts'
import { accepted, type KubeApi, MERGE_PATCH } from './api.ts'
import { apiVersionOf } from './paths.ts'

/**
 * Kubernetes Events: one per object and reason, whose name is derived from both, so that an operator that was restarted goes on
 * counting. Sent one after the other, behind whoever tells; what is told faster than it may be sent is only counted.
 */
export interface Events {
  tell: (ref: ObjectRef, uid: string, occurrence: Occurrence) => void
  /** Sends what there is to send until the signal aborts. */
  run: (signal: AbortSignal) => Promise<void>
}

interface Told {
  ref: ObjectRef
  uid: string
  occurrence: Occurrence
  /** Occurrences that no Event tells of yet. */
  unsent: number
}

export function createEvents(options: { api: KubeApi; clock: Clock; log: Log }): Events {
  const { api, clock, log } = options
  const told = new Map<string, Told>()
  const allow = createEventLimit(clock)
  const queue = new Set<string>()
  let wake = Promise.withResolvers<void>()

  const send = async (key: string, signal: AbortSignal) => {
    const event = told.get(key)
    if (!event) return
    const count = event.unsent
    event.unsent = 0
    try {
      await record(api, { ...event, count, now: new Date(clock.now()).toISOString(), signal })
    } catch (error) {
      event.unsent += count
      // Nobody waits for an Event, and in a namespace that is being deleted none can be made: the next one carries the count.
      const { ref, occurrence } = event
      log.debug({ ...ref, reason: occurrence.reason, error: messageOf(error) }, 'event.failed')
    }
  }

  return {
    tell(ref, uid, occurrence) {
      const key = `${uid}/${occurrence.reason}`
      const unsent = (told.get(key)?.unsent ?? 0) + 1
      setBounded(told, key, { ref, uid, occurrence, unsent })
      if (!allow(uid)) return
      queue.add(key)
      wake.resolve()
    },
    async run(signal) {
      const stopped = new Promise<void>(resolve => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      while (!signal.aborted) {
        wake = Promise.withResolvers()
        for (const key of queue) {
          queue.delete(key)
          await send(key, signal)
        }
        if (queue.size === 0) await Promise.race([wake.promise, stopped])
      }
    },
  }
}

interface Recording extends Omit<Told, 'unsent'> {
  count: number
  now: string
  signal: AbortSignal
}

/** Counts up the Event that is there, else makes it. Kubernetes drops Events after an hour: counting then begins anew. */
async function record(api: KubeApi, recording: Recording): Promise<void> {
  const { ref, occurrence, now, signal } = recording
  // Events of cluster-scoped objects belong to the namespace `default`, as the validation of Kubernetes has it.
  const path = `/api/v1/namespaces/${ref.namespace || 'default'}/events`
  const name = eventName(recording)
  const message = occurrence.message.slice(0, 1024)
  const existing = await api.request({ path: `${path}/${name}`, signal })
  if (existing.status === 404) {
    const body = { ...manifest(recording), message, count: recording.count, firstTimestamp: now }
    accepted(await api.request({ path, method: 'POST', body, signal }), `create event ${name}`)
    return
  }
  const before = accepted(existing, `get event ${name}`) as { count?: number }
  const body = {
    count: (before.count ?? 0) + recording.count,
    message,
    type: occurrence.type,
    lastTimestamp: now,
  }
  const patch = { path: `${path}/${name}`, method: 'PATCH', body, contentType: MERGE_PATCH, signal } as const
  accepted(await api.request(patch), `count event ${name}`)
}

function manifest(recording: Recording) {
  const { ref, uid, occurrence, now } = recording
  const { kind, namespace, name } = ref
  return {
    metadata: { name: eventName(recording), namespace: namespace || 'default' },
    involvedObject: { apiVersion: apiVersionOf(kind), kind, name, uid, ...(namespace ? { namespace } : {}) },
    reason: occurrence.reason,
    type: occurrence.type,
    lastTimestamp: now,
    source: { component: 'shellcron' },
    reportingComponent: 'shellcron.dev/operator',
    reportingInstance: 'operator',
  }
}

function eventName({ ref, uid, occurrence }: Recording): string {
  const hash = createHash('sha256').update(`${uid}/${occurrence.reason}`).digest('hex').slice(0, 16)
  return `${ref.name.slice(0, 200)}.${hash}`
}
