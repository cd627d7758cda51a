import { createHash } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { Log } from '../../platform/log.ts'
import type { Denial, Resources } from '../resources/port.ts'
import { every } from '../until-aborted.ts'

/**
 * An operator that may not list one kind compiles nothing, so it says so where an administrator looks: in its log, as an Event of its
 * Lease, and in /readyz.
 */
export interface DenialOptions {
  api: KubeApi
  clock: Clock
  log: Log
  lease: { namespace: string; name: string }
}

const LOOK_MS = 1_000
const REASON = 'Forbidden'

/** Reports each kind once, until it may be listed and is denied again. Ends with the signal. */
export async function reportDenials(
  options: DenialOptions,
  resources: Pick<Resources, 'denied'>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options
  const reported = new Set<string>()
  await every({ clock, ms: LOOK_MS }, signal, async () => {
    const denied = resources.denied()
    for (const kind of reported) if (!denied.some(each => each.kind === kind)) reported.delete(kind)
    for (const denial of denied) {
      if (reported.has(denial.kind)) continue
      reported.add(denial.kind)
      log.error({ ...denial, reason: REASON }, 'operator.denied')
      await writeEvent(options, denial).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'event.failed'),
      )
    }
  })
}

/** For /readyz and the Event. */
export function explainDenial({ kind, message }: Denial): string {
  return `the operator may not list and watch ${kind}, so no object is compiled: grant its ServiceAccount this right (the chart does, with rbac.create): ${message}`
}

async function writeEvent({ api, clock, lease }: DenialOptions, denial: Denial): Promise<void> {
  const { namespace, name } = lease
  const found = await api.request({
    path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`,
  })
  const { metadata } = accepted(found, 'get lease') as { metadata: { uid: string } }
  const now = new Date(clock.now()).toISOString()
  const hash = createHash('sha256').update(`${metadata.uid} ${denial.kind} ${now}`).digest('hex').slice(0, 16)
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${hash}`, namespace },
    involvedObject: {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      namespace,
      name,
      uid: metadata.uid,
    },
    type: 'Warning',
    reason: REASON,
    message: explainDenial(denial).slice(0, 1_000),
    source: { component: 'shellcron-operator' },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  }
  accepted(
    await api.request({ path: `/api/v1/namespaces/${namespace}/events`, method: 'POST', body }),
    'create event',
  )
}
