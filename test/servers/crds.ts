import { fileURLToPath } from 'node:url'
import { eventually } from '../fault/eventually.ts'
import type { Kubernetes } from './kubernetes.ts'

export const CRDS = fileURLToPath(new URL('../../crds', import.meta.url))

/**
 * Applies the CRDs and waits until the server accepts their objects. `kubectl wait` fails at once on a CRD that has no conditions yet
 * (".status.conditions accessor error: <nil>"), so it is repeated.
 */
export async function applyCrds(kubernetes: Pick<Kubernetes, 'kubectl' | 'tryKubectl'>): Promise<void> {
  await kubernetes.kubectl(['apply', '--server-side', '-f', CRDS])
  const wait = ['wait', '--for=condition=Established', '--timeout=5s', 'crd', '--all']
  await eventually('the CRDs are established', async () => (await kubernetes.tryKubectl(wait)).code === 0)
}
