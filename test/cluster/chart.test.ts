import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { CHART } from '../fixtures/chart.ts'
import { loadChartImages } from '../fixtures/chart-images.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { host, job, policy, run } from '../fixtures/kubernetes-objects.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'

/**
 * The chart as users have it, on a Kubernetes with nodes: installed, tested, upgraded during runs, through the restart of a node, and uninstalled.
 * The tests are one story, in this order.
 */
const exec = promisify(execFile)
const PLUGIN = fileURLToPath(new URL('../../bin/kubectl-shellcron', import.meta.url))
const RELEASE = 'shellcron'
const SYSTEM = 'shellcron'
const AGENTS = 'shellcron-agents'
const OPS = 'ops'
const WITHIN_MS = 180_000

interface Status {
  exitCode?: number
  outputTail?: string
  lastFailureTime?: string
  runs?: { id: string; outcome: string; reason?: string }[]
  conditions?: { type: string; status: string; message: string }[]
}

describe.skipIf(whyNoCluster())('the chart', () => {
  const cluster = clusterForAll()
  let values = ''

  beforeAll(async () => {
    values = await loadChartImages(cluster, join(cluster.dir, 'chart-test'))
    await kubectl('create', 'namespace', OPS)
  }, 600_000)

  afterAll(async () => {
    if (!values) return
    await cluster.tryHelm(['uninstall', RELEASE, '-n', SYSTEM, '--no-hooks'])
    await cluster.tryKubectl([
      'delete',
      'namespace',
      SYSTEM,
      AGENTS,
      OPS,
      '--ignore-not-found',
      '--wait=false',
    ])
  })

  const kubectl = (...args: string[]) => cluster.kubectl(args)
  const apply = (...items: object[]) =>
    cluster.kubectl(['apply', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    })
  const helm = (verb: string, ...args: string[]) => cluster.helm([verb, RELEASE, '-n', SYSTEM, ...args])
  const upgrade = (...args: string[]) =>
    helm('upgrade', CHART, '-f', values, '--wait', '--timeout=240s', ...args)
  const statusOf = async (kind: string, name: string): Promise<Status> =>
    (JSON.parse(await kubectl('get', kind, name, '-n', OPS, '-o', 'json')) as { status?: Status }).status ??
    {}
  const outcomes = async (name: string) =>
    (await statusOf('scj', name)).runs?.map(({ outcome }) => outcome) ?? []
  const agentsReady = () => kubectl('wait', 'sag', '--all', '--for=condition=Ready', '--timeout=120s')

  test('it installs with its default values, and every node has an agent', async () => {
    await cluster.helm([
      'install',
      RELEASE,
      CHART,
      '-n',
      SYSTEM,
      '--create-namespace',
      '-f',
      values,
      '--wait',
      '--timeout=240s',
    ])
    await eventually(
      'both agents exist',
      async () => (await kubectl('get', 'sag', '-o', 'name')).split('\n').length > 2,
      WITHIN_MS,
    )
    await agentsReady()
    expect(await kubectl('get', 'ds', '-n', AGENTS, '-o', 'jsonpath={.items[*].status.numberReady}')).toBe(
      '2',
    )
    expect(await kubectl('get', 'sts', '-n', SYSTEM, '-o', 'jsonpath={.items[*].status.readyReplicas}')).toBe(
      '3',
    )
    await apply({
      ...policy(OPS),
      spec: { namespaces: [OPS], rules: [{ pools: ['*'], host: { users: ['*'] }, container: {} }] },
    })
  })

  test('helm test runs a command to its output', async () => {
    const log = await helm('test', '--logs')
    expect(log).toMatch(/pods: 2 of 2 agents are Ready/)
    expect(log).toMatch(/command: hello from node-[12]/)
  })

  test('a host job and a container job run, and their outcome is in kubectl get', async () => {
    await apply(
      job('on-host', '', { schedule: '*/2 * * * * *', template: host('hostname; exit 3') }),
      job('inside', '', {
        schedule: '*/2 * * * * *',
        template: {
          spec: {
            container: { selector: { matchLabels: { app: 'web' } } },
            script: 'test -x /opt/shellcron/bin/shellcron',
          },
        },
      }),
      podOf(await imageOfAgents()),
    )
    const { outputTail } = await eventually(
      'the host job ran',
      async () => {
        const status = await statusOf('scj', 'on-host')
        return status.outputTail !== undefined && status
      },
      WITHIN_MS,
    )
    expect(outputTail).toMatch(/^node-[12]\n$/)
    const env = { ...process.env, KUBECONFIG: cluster.kubeconfig }
    const { stdout } = await exec(PLUGIN, ['logs', 'on-host', '-n', OPS], { env, timeout: 60_000 })
    expect(stdout).toMatch(/^node-[12]\n$/)
    await eventually(
      'the container job ran',
      async () => (await outcomes('inside'))[0] === 'Succeeded',
      WITHIN_MS,
    )
    expect(await kubectl('get', 'scj', 'inside', '-n', OPS)).toContain('Succeeded')
    await kubectl('delete', 'scj', 'on-host', 'inside', '-n', OPS)
  })

  const imageOfAgents = () =>
    kubectl('get', 'ds', '-n', AGENTS, '-o', 'jsonpath={.items[0].spec.template.spec.containers[0].image}')

  test('an upgrade of every part during runs loses none of them', async () => {
    // Agents and members of etcd are replaced at the same time: a time may start late, and without catching up it would be Missed after 5 s.
    const limits = { successfulRunsHistoryLimit: 20, failedRunsHistoryLimit: 20, catchUp: 'All' }
    await apply(
      job('each-second', '', { schedule: '* * * * * *', template: host('sleep 3'), ...limits }),
      run('long', { template: host('sleep 60') }),
    )
    await eventually('it runs', async () => (await outcomes('each-second')).length > 3, WITHIN_MS)
    await eventually(
      'the long one runs',
      async () => (await kubectl('get', 'srun', 'long', '-n', OPS)).includes('Running'),
      WITHIN_MS,
    )
    const set = ['operator', 'etcd', 'agentDefaults']
      .map(part => `${part}.podAnnotations.upgraded=yes`)
      .join(',')
    await upgrade('--set-string', set)
    await kubectl('rollout', 'status', 'ds/shellcron-agent-default', '-n', AGENTS, '--timeout=180s')
    await kubectl('wait', 'srun/long', '-n', OPS, '--for=condition=Complete', '--timeout=180s')
    const seen = await statusOf('scj', 'each-second')
    const bad = seen.runs?.filter(({ outcome }) => outcome !== 'Succeeded')
    expect(bad).toEqual([])
    expect(seen.lastFailureTime).toBeUndefined()
    await kubectl('delete', 'scj', 'each-second', '-n', OPS)
  })

  test('after the restart of a node its agent and its member of etcd are back', async () => {
    await cluster.restartNode('node-2')
    await kubectl('rollout', 'status', 'sts/shellcron-etcd', '-n', SYSTEM, '--timeout=240s')
    await kubectl('rollout', 'status', 'ds/shellcron-agent-default', '-n', AGENTS, '--timeout=240s')
    await eventually(
      'the test passes',
      async () => (await cluster.tryHelm(['test', RELEASE, '-n', SYSTEM])).code === 0,
      240_000,
    )
  })

  test('helm test names a namespace that refuses the agents', async () => {
    const name = 'restricted-agents'
    await kubectl('create', 'namespace', name)
    await kubectl('label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted')
    await helm(
      'upgrade',
      CHART,
      '-f',
      values,
      '--set',
      `agentNamespace.name=${name},agentNamespace.create=false`,
    )
    const { code } = await cluster.tryHelm(['test', RELEASE, '-n', SYSTEM])
    expect(code).not.toBe(0)
    expect(await kubectl('logs', 'shellcron-test', '-n', SYSTEM)).toMatch(
      /DaemonSet restricted-agents\/shellcron-agent-default: 0 of 2 pods are Ready\. Pods are refused: .*violates PodSecurity/,
    )
    // The other namespace was the chart's, and went with its agents.
    await kubectl('wait', `namespace/${AGENTS}`, '--for=delete', '--timeout=120s')
    await upgrade()
    await kubectl('delete', 'namespace', name)
  })

  test('a namespace with jobs goes away while the operator lives', async () => {
    await kubectl('create', 'namespace', 'gone')
    await heldJob('a', 'gone')
    await kubectl('delete', 'namespace', 'gone', '--timeout=60s')
  })

  test('helm uninstall leaves what it names and nothing else, on nodes neither', async () => {
    await heldJob('left')
    const launchers = async () => {
      const count = ['sh', '-c', 'ps -eo args | grep -c "[l]auncher-linux" || true']
      return (await Promise.all(cluster.nodes.map(node => cluster.nodeExec(node, count)))).map(Number)
    }
    expect(Math.min(...(await launchers()))).toBeGreaterThan(0)
    await helm('uninstall', '--timeout=240s')
    await onlyKeptDataIsLeft()
    expect(await launchers()).toEqual([0, 0])
    const kinds =
      'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings'
    const ours = await kubectl('get', kinds, '-o', 'name')
    expect(ours.split('\n').filter(name => name.includes('shellcron'))).toEqual([])
    const crds = await kubectl('get', 'crd', '-o', 'name')
    expect(crds.split('\n').filter(name => name.includes('shellcron'))).toHaveLength(6)
    expect(await kubectl('get', 'scj', 'left', '-n', OPS, '-o', 'jsonpath={.metadata.finalizers}')).toBe('')
  })

  test('it installs again on the data that it left; a dead operator holds no namespace after the uninstallation', async () => {
    await cluster.helm(['install', RELEASE, CHART, '-n', SYSTEM, '-f', values, '--wait', '--timeout=240s'])
    await agentsReady()
    await heldJob('left')
    await kubectl('scale', 'deployment/shellcron-operator', '-n', SYSTEM, '--replicas=0')
    const pods = ['-n', SYSTEM, '-l', 'app.kubernetes.io/component=operator']
    await kubectl('wait', 'pod', ...pods, '--for=delete', '--timeout=90s')
    await helm('uninstall', '--timeout=240s')
    await onlyKeptDataIsLeft()
    await kubectl('delete', 'namespace', OPS, '--timeout=60s')
  })

  /** A job that the operator knows: it has the finalizer. */
  async function heldJob(name: string, namespace = OPS): Promise<void> {
    await apply(job(name, 'true', { namespace }))
    const finalizers = ['get', 'scj', name, '-n', namespace, '-o', 'jsonpath={.metadata.finalizers}']
    await eventually(
      'it has the finalizer',
      async () => (await kubectl(...finalizers)).includes('shellcron.dev'),
      WITHIN_MS,
    )
  }

  async function onlyKeptDataIsLeft(): Promise<void> {
    await kubectl('wait', `namespace/${AGENTS}`, '--for=delete', '--timeout=120s')
    const kinds =
      'pods,deployments,statefulsets,daemonsets,jobs,services,endpointslices,leases,roles,rolebindings,networkpolicies,poddisruptionbudgets,secrets,pvc'
    const kept = [
      'secret/shellcron-keys',
      ...[0, 1, 2].map(i => `persistentvolumeclaim/data-shellcron-etcd-${i}`),
      'persistentvolumeclaim/shellcron-log-store',
    ]
    await eventually(
      'the rest is gone',
      async () => (await kubectl('get', kinds, '-n', SYSTEM, '-o', 'name')).trim() === kept.join('\n'),
      WITHIN_MS,
    )
  }
})

/** A pod for commands in containers, with an image that the nodes have. */
function podOf(image: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: OPS, labels: { app: 'web' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'web', image, imagePullPolicy: 'Never', command: ['/bin/sleep', '100000'] }],
    },
  }
}
