import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { granted } from './cluster.ts'

/** The operator that leads, by the EndpointSlice that it writes. */
export interface Leader {
  /** undefined: it does not run in a pod. */
  pod: string | undefined
  port: number
  /** PEM. The authority of its certificate. */
  ca: string
}

const sliceSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  endpoints: z.array(z.object({ targetRef: z.object({ name: z.string() }).optional() })).nullable(),
  ports: z.array(z.object({ port: z.number() })).nullable(),
})

/** Throws InvalidInput with the remedy. */
export async function findLeader(
  api: KubeApi,
  { namespace, service }: { namespace: string; service: string },
): Promise<Leader> {
  const name = `${service}-leader`
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}`
  const answer = await api.request({ path })
  if (answer.status === 404)
    throw new InvalidInput(
      '--operator-namespace',
      `namespace "${namespace}" has no EndpointSlice ${name}, which the leading operator writes: name the namespace that ShellCron is installed in, or see why no operator leads with: kubectl logs -n ${namespace} deployment/${service}`,
    )
  const remedy = `bind the Role shellcron-user of namespace ${namespace} to the user (docs/cli.md)`
  const { metadata, endpoints, ports } = sliceSchema.parse(granted(answer, 'operator', remedy))
  const ca = metadata.annotations['shellcron.dev/ca']
  const port = ports?.[0]?.port
  if (ca === undefined || port === undefined)
    throw new InvalidInput('operator', `EndpointSlice ${namespace}/${name} is not one of the operator's`)
  return { pod: endpoints?.[0]?.targetRef?.name, port, ca }
}
