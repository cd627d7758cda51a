import { describe, expect, test } from 'vitest'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { whyNoCluster } from './cluster/requirements.ts'

describe.skipIf(whyNoCluster())('the shared cluster', () => {
  const cluster = clusterForAll()

  test('has two nodes that are Ready', async () => {
    const ready =
      '{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    const nodes = await cluster.kubectl(['get', 'nodes', `--output=jsonpath=${ready}`])
    expect(nodes.trim().split('\n')).toEqual(['node-1 True', 'node-2 True'])
  })

  test('runs a pod, and answers its logs', async () => {
    const run = [
      'run',
      'smoke',
      '--image=localhost/busybox:1',
      '--image-pull-policy=Never',
      '--restart=Never',
    ]
    // A node's rules for Services may come a moment after its first pod.
    const lookUp = 'until nslookup kubernetes.default.svc.cluster.local; do sleep 1; done'
    await cluster.kubectl([...run, '--command', '--', 'sh', '-c', lookUp])
    try {
      await cluster.kubectl([
        'wait',
        'pod/smoke',
        '--for=jsonpath={.status.phase}=Succeeded',
        '--timeout=60s',
      ])
      expect(await cluster.kubectl(['logs', 'smoke'])).toContain('Address: 10.0.0.1\n')
    } finally {
      await cluster.kubectl(['delete', 'pod', 'smoke', '--now'])
    }
  })
})
