import type { Clock } from '../../platform/clock.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { Lease } from '../startup/leader-election.ts'
import { LEASE } from '../startup/start.ts'

/** What the operator made itself, and Helm therefore does not remove. */
export interface CleanOptions {
  api: KubeApi
  clock: Clock
  /** That of the operator. */
  namespace: string
  /** Names of Secrets. */
  secrets: readonly string[]
  /** The operator's Service, if it writes an EndpointSlice for it. */
  service: string | undefined
  /** The namespace with the ConfigMap of the authority's certificate. */
  agentNamespace: string | undefined
  /** The pod of `helm test`, which Helm leaves for its logs. */
  pod: string | undefined
  onLine(line: string): void
}

const LOOK_EVERY_MS = 1_000
const CA_CONFIG_MAP = 'shellcron-ca'

/** Removes it. Waits until no operator leads any more, so that none makes it again. */
export async function clean(options: CleanOptions, signal: AbortSignal): Promise<void> {
  const { namespace, secrets, service, agentNamespace, pod } = options
  await untilNobodyLeads(options, signal)
  for (const name of secrets) await remove(options, `/api/v1/namespaces/${namespace}/secrets/${name}`)
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
  if (service !== undefined) await remove(options, `${slices}/${service}-leader`)
  if (pod !== undefined) await remove(options, `/api/v1/namespaces/${namespace}/pods/${pod}`)
  if (agentNamespace !== undefined)
    await remove(options, `/api/v1/namespaces/${agentNamespace}/configmaps/${CA_CONFIG_MAP}`)
  await remove(options, leasePath(namespace))
}

const leasePath = (namespace: string) =>
  `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`

/** A stopped operator gives the Lease back; a killed one no longer renews it. */
async function untilNobodyLeads({ api, clock, namespace }: CleanOptions, signal: AbortSignal): Promise<void> {
  let seen: { version: string | undefined; since: number } | undefined
  for (;;) {
    const answer = await api.request({ path: leasePath(namespace), signal })
    if (answer.status === 404) return
    const { metadata, spec } = accepted(answer, `get lease ${LEASE}`) as Lease
    if (!spec?.holderIdentity) return
    if (seen?.version !== metadata.resourceVersion)
      seen = { version: metadata.resourceVersion, since: clock.monotonic() }
    if (clock.monotonic() - (seen?.since ?? 0) > 1_500 * (spec.leaseDurationSeconds ?? 12)) return
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
}

async function remove({ api, onLine }: CleanOptions, path: string): Promise<void> {
  const answer = await api.request({ path, method: 'DELETE' })
  if (answer.status === 404) return
  accepted(answer, `delete ${path}`)
  onLine(`removed ${path.split('/').slice(-2).join(' ')}`)
}
