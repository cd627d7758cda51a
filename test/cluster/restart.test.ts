import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'
import { web } from './objects.ts'

const NAMESPACE = 'restart-test'

describe.skipIf(whyNoCluster())('a node that loses its power', () => {
  const cluster = clusterForAll()
  const kubectl = (...args: string[]) => cluster.kubectl(['--namespace', NAMESPACE, ...args])
  const podOn = async (node: string) =>
    kubectl(
      'get',
      'pods',
      `--field-selector=spec.nodeName=${node}`,
      '--output=jsonpath={.items[0].metadata.name}',
    )
  const restartsOf = async (pod: string) =>
    Number(await kubectl('get', 'pod', pod, '--output=jsonpath={.status.containerStatuses[0].restartCount}'))

  beforeAll(async () => {
    await cluster.kubectl(['create', 'namespace', NAMESPACE])
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: web() })
    await cluster.kubectl(['--namespace', NAMESPACE, 'apply', '-f', '-'], { stdin: list })
    await kubectl('rollout', 'status', 'statefulset/web', '--timeout=120s')
  })
  afterAll(async () => {
    if (cluster.dir) await cluster.kubectl(['delete', 'namespace', NAMESPACE])
  })

  test('boots again: its pods run with their volumes, and those of the other node did not stop', async () => {
    const [there, elsewhere] = [await podOn('node-2'), await podOn('node-1')]
    const firstPid = await cluster.nodePid('node-2')
    await cluster.nodeExec('node-2', ['/bin/sh', '-c', 'echo kept > /etc/kept; echo lost > /run/lost'])

    await cluster.restartNode('node-2')

    expect(await cluster.nodePid('node-2')).not.toBe(firstPid)
    await eventually('the pod has restarted', async () => (await restartsOf(there)) === 1, 120_000)
    await kubectl('wait', `pod/${there}`, '--for=condition=Ready', '--timeout=120s')
    expect(await kubectl('exec', there, '--', '/bin/cat', '/data/starts')).toBe('65532\n65532\n')
    expect(await restartsOf(elsewhere)).toBe(0)
    const state = 'cat /etc/kept; test -e /run/lost || echo lost'
    expect(await cluster.nodeExec('node-2', ['/bin/sh', '-c', state])).toBe('kept\nlost\n')
  })
})
