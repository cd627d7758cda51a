import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { CHART } from '../fixtures/chart.ts'
import { loadChartImages } from '../fixtures/chart-images.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { host, job, policy, run } from '../fixtures/kubernetes-objects.ts'
import { etcdPrograms } from '../servers/binaries.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'

/**
 * The chart as users have it, on a Kubernetes with nodes: installed, tested, upgraded during runs, through the restart of a node, and uninstalled.
 * The tests are one story, in this order.
 */
const exec = promisify(execFile)
const PLUGIN = fileURLToPath(new URL('../../bin/kubectl-shellcron', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
const RELEASE = 'shellcron'
const SYSTEM = 'shellcron'
const AGENTS = 'shellcron-agents'
const OPS = 'ops'
const WITHIN_MS = 180_000

/** NodePorts. */
const PORTS = { operator: 31_443, etcd: 31_379 }
/** Values by which servers outside reach etcd and the operator at a node. */
const outside = (host: string) => [
  '--set',
  [
    `external.host=${host}`,
    'external.service.type=NodePort',
    ...Object.entries(PORTS).flatMap(([part, port]) => [
      `external.ports.${part}=${port}`,
      `external.service.nodePorts.${part}=${port}`,
    ]),
  ].join(','),
]

interface Row {
  time: number
  outcome: string
  reason?: string
}

interface Status {
  exitCode?: number
  outputTail?: string
  activeCount?: number
  runs?: { id: string; outcome: string; reason?: string }[]
  conditions?: { type: string; status: string; message: string }[]
}

describe.skipIf(whyNoCluster())('the chart', () => {
  const cluster = clusterForAll()
  let values = ''
  /** Those of the first upgrade stay, or the next one would restart etcd again. */
  let settings: string[] = []
  let dir = ''

  beforeAll(async () => {
    dir = join(cluster.dir, 'chart-test')
    values = await loadChartImages(cluster, dir)
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
    helm('upgrade', CHART, '-f', values, '--wait', '--timeout=240s', ...settings, ...args)
  const statusOf = async (kind: string, name: string): Promise<Status> =>
    (JSON.parse(await kubectl('get', kind, name, '-n', OPS, '-o', 'json')) as { status?: Status }).status ??
    {}
  const outcomes = async (name: string) =>
    (await statusOf('scj', name)).runs?.map(({ outcome }) => outcome) ?? []
  const plugin = async (...args: string[]) => {
    const env = { ...process.env, KUBECONFIG: cluster.kubeconfig }
    return (await exec(PLUGIN, args, { env, timeout: 60_000, maxBuffer: 16 * 1024 ** 2 })).stdout
  }
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
    // The newest run may have no output yet.
    await eventually(
      'its output is in the log',
      async () => /^node-[12]\n$/.test(await plugin('logs', 'on-host', '-n', OPS)),
      WITHIN_MS,
    )
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
    // On a slow machine a time may start late while all parts are replaced: after 5 s without catching up it would be Missed.
    await apply(
      job('each-second', '', { schedule: '* * * * * *', template: host('sleep 3'), catchUp: 'All' }),
      run('long', { template: host('sleep 60') }),
    )
    await eventually('it runs', async () => (await outcomes('each-second')).length > 2, WITHIN_MS)
    await eventually(
      'the long one runs',
      async () => (await kubectl('get', 'srun', 'long', '-n', OPS)).includes('Running'),
      WITHIN_MS,
    )
    const set = ['operator', 'etcd', 'agentDefaults']
      .map(part => `${part}.podAnnotations.upgraded=yes`)
      .join(',')
    settings = ['--set-string', set]
    await upgrade()
    await kubectl('rollout', 'status', 'ds/shellcron-agent-default', '-n', AGENTS, '--timeout=180s')
    await kubectl('rollout', 'status', 'sts/shellcron-etcd', '-n', SYSTEM, '--timeout=240s')
    await kubectl('wait', 'srun/long', '-n', OPS, '--for=condition=Complete', '--timeout=180s')
    await kubectl('patch', 'scj', 'each-second', '-n', OPS, '--type=merge', '-p', '{"spec":{"suspend":true}}')
    await eventually(
      'its runs have ended',
      async () => ((await statusOf('scj', 'each-second')).activeCount ?? 0) === 0,
      WITHIN_MS,
    )
    await eachSecondSucceededOnce('each-second')
    await kubectl('delete', 'scj', 'each-second', '-n', OPS)
  })

  /** From the first time to the last, as the log store has them. */
  async function eachSecondSucceededOnce(name: string): Promise<void> {
    const args = ['history', name, '-n', OPS, '--limit', '1000', '-o', 'json']
    const { rows } = JSON.parse(await plugin(...args)) as { rows: Row[] }
    const seconds = rows.map(row => row.time / 1_000).toSorted((a, b) => a - b)
    const [first = 0] = seconds
    // The suspension may cancel the time that is due at that moment.
    const bad = rows.filter(({ outcome, reason }) => outcome !== 'Succeeded' && reason !== 'Suspended')
    expect(bad).toEqual([])
    expect(seconds).toEqual(seconds.map((_, index) => first + index))
    expect(seconds.length).toBeGreaterThan(30)
  }

  test('a server outside joins by the line of join-command, through NodePorts, and runs a command', async () => {
    const address = await cluster.nodeAddress('node-1')
    await upgrade(...outside(address))
    await everyMemberNames(address)
    const [, url = '', token = ''] =
      /^sudo shellcron join (\S+) (\S+)$/m.exec(
        await plugin('join-command', 'web-9', '--label', 'role=web'),
      ) ?? []
    expect(url).toBe(`https://${address}:${PORTS.operator}`)
    const server = await cluster.startServer('web-9')
    try {
      const agent = await server.start('join', [PROGRAM, 'join', url, token, '--allow-root', '--foreground'])
      await eventually(
        () => `it joins: ${agent.tail()}`,
        () => /^web-9 has joined: it is Ready/m.test(agent.tail()),
        WITHIN_MS,
      )
      const target = { selector: { matchLabels: { role: 'web' } } }
      await apply(run('outside', { template: host('uname -n', { target }) }))
      await kubectl('wait', 'srun/outside', '-n', OPS, '--for=condition=Complete', '--timeout=120s')
      expect((await statusOf('srun', 'outside')).outputTail).toBe('web-9\n')
      await agent.stop(30_000)
      expect(await server.run(PROGRAM, 'leave')).toMatch(/identity of this machine has ended\n[^]*has left/)
      await kubectl('delete', 'sag', 'web-9')
    } finally {
      await server.stop()
    }
  })

  /** A kubelet takes a minute or more to give a changed Secret to a running pod. */
  async function everyMemberNames(address: string): Promise<void> {
    const pods = ['get', 'pod', '-n', SYSTEM, '-l', 'app.kubernetes.io/component=etcd']
    const ips = await kubectl(...pods, '-o', 'jsonpath={.items[*].status.podIP}')
    for (const ip of ips.split(' ')) {
      const forward = await cluster.forward(ip, 2_379)
      try {
        const isNamed = async () => (await namesServedAt(forward.port)).includes(`IP Address:${address}`)
        await eventually(`the certificate of ${ip} names ${address}`, isNamed, WITHIN_MS)
      } finally {
        forward.close()
      }
    }
  }

  test('a Job of the CronJob for backups saves a snapshot of etcd, and keeps as many as it shall', async () => {
    const claim = (name: string) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: SYSTEM },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '100Mi' } } },
    })
    await apply(claim('backups'))
    await upgrade('--set', 'etcd.backup.enabled=true,etcd.backup.keep=1,etcd.backup.claim=backups')
    for (const name of ['backup-1', 'backup-2']) {
      await kubectl('create', 'job', name, '--from=cronjob/shellcron-etcd-backup', '-n', SYSTEM)
      await kubectl('wait', `job/${name}`, '-n', SYSTEM, '--for=condition=Complete', '--timeout=150s')
    }
    const volume = await kubectl('get', 'pvc', 'backups', '-n', SYSTEM, '-o', 'jsonpath={.spec.volumeName}')
    const folder = join(cluster.dir, volume.slice(0, 'node-1'.length), 'var/lib/volumes', volume)
    const files = (await readdir(folder)).filter(name => name !== 'lost+found')
    expect(files).toEqual([expect.stringMatching(/^etcd-\d{8}T\d{6}Z\.db$/)])
    const status = ['snapshot', 'status', join(folder, files[0] ?? ''), '--write-out=json']
    const { stdout } = await exec(join(await etcdPrograms(), 'etcdutl'), status)
    expect((JSON.parse(stdout) as { totalKey: number }).totalKey).toBeGreaterThan(10)
    // The CronJob's limit of its history may have removed the first.
    await kubectl('delete', 'job', 'backup-1', 'backup-2', '-n', SYSTEM, '--ignore-not-found')
    await kubectl('delete', 'pvc', 'backups', '-n', SYSTEM)
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
      ...settings,
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

/** The names and addresses in the certificate of a server on this machine's loopback. */
async function namesServedAt(port: number): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  try {
    await once(socket, 'secureConnect')
    return (socket.getPeerCertificate().subjectaltname ?? '').split(', ')
  } finally {
    // The server ends the connection, because this client has no certificate.
    socket.on('error', () => undefined).destroy()
  }
}

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
