import { isIPv6 } from 'node:net'
import { messageOf } from '../../platform/errors.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { LeaderTask } from '../operator.ts'
import { every } from '../until-aborted.ts'

/**
 * The operator's Service has no selector: only the operator that leads serves, and it puts its own pod into the Service's only EndpointSlice.
 * The slice has the authority's certificate as an annotation, with which `kubectl shellcron` checks the operator.
 */
export interface EndpointOptions {
  api: KubeApi
  namespace: string
  service: string
  pod: { name: string; ip: string }
  port: number
  /** PEM. */
  ca: string
}

interface Slice {
  addressType: string
  metadata: { resourceVersion?: string; annotations?: Record<string, string> }
  endpoints?: { addresses?: string[]; targetRef?: { name?: string } }[] | null
  ports?: { port?: number }[] | null
}

/** How often it is compared, in case somebody has deleted or changed it, ms. */
const LOOK_MS = 10_000
const CA_ANNOTATION = 'shellcron.dev/ca'
const PORT_NAME = 'api'

/** Keeps the slice while the operator leads. */
export function leaderEndpoint(options: EndpointOptions): LeaderTask {
  return async ({ clock, log }, signal) => {
    let trouble: string | undefined
    const keep = async () => {
      try {
        await keepSlice(options)
        trouble = undefined
      } catch (error) {
        if (messageOf(error) !== trouble) log.warn({ error: messageOf(error) }, 'endpoint.notWritten')
        trouble = messageOf(error)
      }
    }
    await keep()
    await every({ clock, ms: LOOK_MS }, signal, keep)
  }
}

async function keepSlice(options: EndpointOptions): Promise<void> {
  const { api, namespace, service } = options
  const all = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
  const path = `${all}/${service}-leader`
  const answer = await api.request({ path })
  const now = answer.status === 404 ? undefined : (accepted(answer, 'get endpointslice') as Slice)
  if (now && isOurs(now, options)) return
  const wanted = sliceOf(options, await ownerOf(options))
  if (now && now.addressType !== wanted.addressType)
    // The type cannot be changed.
    accepted(await api.request({ path, method: 'DELETE' }), 'delete endpointslice')
  else if (now) {
    const { resourceVersion } = now.metadata
    const body = { ...wanted, metadata: { ...wanted.metadata, resourceVersion } }
    accepted(await api.request({ path, method: 'PUT', body }), 'put endpointslice')
    return
  }
  accepted(await api.request({ path: all, method: 'POST', body: wanted }), 'create endpointslice')
}

function isOurs({ metadata, endpoints, ports }: Slice, { pod, port, ca }: EndpointOptions): boolean {
  const [endpoint] = endpoints ?? []
  return (
    endpoints?.length === 1 &&
    endpoint?.addresses?.[0] === pod.ip &&
    endpoint.targetRef?.name === pod.name &&
    ports?.[0]?.port === port &&
    metadata.annotations?.[CA_ANNOTATION] === ca
  )
}

/** Kubernetes deletes the slice with its Service. */
async function ownerOf({ api, namespace, service }: EndpointOptions): Promise<object[]> {
  const answer = await api.request({ path: `/api/v1/namespaces/${namespace}/services/${service}` })
  if (answer.status === 404) return []
  const { metadata } = accepted(answer, `get service ${service}`) as { metadata: { uid: string } }
  return [{ apiVersion: 'v1', kind: 'Service', name: service, uid: metadata.uid }]
}

function sliceOf({ namespace, service, pod, port, ca }: EndpointOptions, ownerReferences: object[]) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-leader`,
      namespace,
      labels: {
        'kubernetes.io/service-name': service,
        'endpointslice.kubernetes.io/managed-by': 'shellcron.dev',
      },
      annotations: { [CA_ANNOTATION]: ca },
      ownerReferences,
    },
    addressType: isIPv6(pod.ip) ? 'IPv6' : 'IPv4',
    endpoints: [
      {
        addresses: [pod.ip],
        conditions: { ready: true, serving: true },
        targetRef: { kind: 'Pod', namespace, name: pod.name },
      },
    ],
    // The name is that of the Service's port, which is how kube-proxy finds it.
    ports: [{ name: PORT_NAME, port, protocol: 'TCP' }],
  }
}
