import { fileURLToPath } from 'node:url'
import { eventually } from '../fault/eventually.ts'
import type { Kubernetes } from './kubernetes.ts'

const CRDS = fileURLToPath(new URL('../../crds', import.meta.url))

/**
 * Applies our CRDs and waits until the server takes objects of them. `kubectl wait` gives up at once on a CRD that has no conditions
 * yet (".status.conditions accessor error: <nil>"), so it is asked again.
 */
export async function applyCrds(kubernetes: Kubernetes): Promise<void> {
  await kubernetes.kubectl(['apply', '--server-side', '-f', CRDS])
  const wait = ['wait', '--for=condition=Established', '--timeout=5s', 'crd', '--all']
  await eventually('the CRDs are established', async () => (await kubernetes.tryKubectl(wait)).code === 0)
}
