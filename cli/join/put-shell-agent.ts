import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { API_VERSION } from '../../core/schema/objects.ts'
import { MERGE_PATCH } from '../../platform/kubernetes/api.ts'
import { type Cluster, granted } from '../cluster/cluster.ts'

const ALL = '/apis/shellcron.dev/v1alpha1/shellagents'
const REMEDY = 'joining needs the rights to get, create, update and patch shellagents (docs/join.md)'
const found = z.object({ spec: z.object({ external: z.object({}).optional() }).prefault({}) })

/** What is not given stays as it is. */
export interface AgentWish {
  pool?: string
  labels?: Readonly<Record<string, string>>
}

/** Creates the ShellAgent of a server with the user's own rights, or sets the given fields of the one that exists. */
export async function putShellAgent({ api }: Cluster, name: string, wish: AgentWish): Promise<void> {
  const what = `ShellAgent ${name}`
  const path = `${ALL}/${encodeURIComponent(name)}`
  const answer = await api.request({ path })
  if (answer.status === 404) {
    const spec = { external: {}, ...wish }
    const body = { apiVersion: API_VERSION, kind: 'ShellAgent', metadata: { name }, spec }
    granted(await api.request({ path: ALL, method: 'POST', body }), what, REMEDY)
    return
  }
  const { spec } = found.parse(granted(answer, what, REMEDY))
  if (!spec.external)
    throw new InvalidInput(
      what,
      'belongs to a Node, whose agent joins by itself; use another name for the server',
    )
  if (Object.keys(wish).length === 0) return
  const patch = { path, method: 'PATCH' as const, contentType: MERGE_PATCH, body: { spec: wish } }
  granted(await api.request(patch), what, REMEDY)
}
