import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Child, startChild } from '../../platform/child-process.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { eventually } from '../fault/eventually.ts'
import { clusterForAll } from '../fixtures/cluster-for-all.ts'
import { ask } from '../fixtures/server.ts'
import { etcdPrograms } from '../servers/binaries.ts'
import { whyNoCluster } from '../servers/cluster/requirements.ts'
import { CRDS } from '../servers/crds.ts'
import { temporaryDirectory } from '../servers/directory.ts'

/**
 * `kubectl shellcron` through the API server's port-forward, and the operator's Service. The operator is a process in the network of a node,
 * and a pod of the host's network stands for its pod.
 */
const NAMESPACE = 'kubectl-shellcron'
const SERVICE = 'shellcron-operator'
const POD = 'operator'
const program = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url))
const admission = fileURLToPath(
  new URL('../../charts/shellcron/files/admission/shelltickets.yaml', import.meta.url),
)

describe.skipIf(whyNoCluster())('kubectl shellcron', () => {
  const cluster = clusterForAll()
  const kubectl = (...args: string[]) => cluster.kubectl(args)
  const inNamespace = (...args: string[]) => kubectl('-n', NAMESPACE, ...args)
  const ends: (() => Promise<unknown>)[] = []
  let port: number
  let user: string

  beforeAll(async () => {
    const directory = await temporaryDirectory('shellcron-forward-')
    ends.push(directory.remove)
    await kubectl('apply', '--server-side', '-f', CRDS, '-f', admission)
    ends.push(() => kubectl('delete', '-f', CRDS, '-f', admission))
    await kubectl('create', 'namespace', NAMESPACE)
    ends.push(() => kubectl('delete', 'namespace', NAMESPACE))
    port = (await freePorts(3))[0] ?? 0
    await cluster.kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], { stdin: JSON.stringify(objects(port)) })
    user = await cluster.kubeconfigFor('forwarder')
    await giveRights()
    await inNamespace('wait', `pod/${POD}`, '--for=condition=Ready', '--timeout=120s')
    await startOperator(directory.path)
  })
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })

  async function giveRights() {
    const create = (...args: string[]) => kubectl('create', ...args)
    await create('clusterrole', 'forward-tickets', '--verb=create', '--resource=shelltickets.shellcron.dev')
    await create('clusterrolebinding', 'forward-tickets', '--clusterrole=forward-tickets', '--user=forwarder')
    ends.push(() => kubectl('delete', 'clusterrole,clusterrolebinding', 'forward-tickets'))
    const at = ['-n', NAMESPACE]
    const slices = '--resource=endpointslices.discovery.k8s.io'
    await create('role', 'leader', ...at, '--verb=get', slices, `--resource-name=${SERVICE}-leader`)
    await create('rolebinding', 'leader', ...at, '--role=leader', '--user=forwarder')
    await create('role', 'log', ...at, '--verb=get', '--resource=shellcronjobs.shellcron.dev/log')
    await create('rolebinding', 'log', ...at, '--role=log', '--user=forwarder')
  }

  /** In the node's network, with the files of this machine. */
  async function startOperator(dir: string) {
    const pid = await cluster.nodePid('node-1')
    const [, client = 0, peer = 0] = await freePorts(3)
    const start = async (command: string[], env: Record<string, string> = {}): Promise<Child> => {
      const args = ['-t', String(pid), '-n', ...command]
      const child = await startChild({
        command: 'nsenter',
        args,
        env: { ...process.env, ...env },
        ...(process.env.TEST_LOG ? { onLine: line => void process.stderr.write(`${line}\n`) } : {}),
      })
      ends.push(() => child.stop(5_000))
      return child
    }
    const at = (on: number) => `http://127.0.0.1:${on}`
    const urls = ['client', 'peer'].flatMap(kind => {
      const url = at(kind === 'client' ? client : peer)
      return kind === 'client'
        ? ['--listen-client-urls', url, '--advertise-client-urls', url]
        : [
            '--listen-peer-urls',
            url,
            '--initial-advertise-peer-urls',
            url,
            '--initial-cluster',
            `default=${url}`,
          ]
    })
    await start([join(await etcdPrograms(), 'etcd'), '--data-dir', join(dir, 'etcd'), ...urls])
    // The administrator's kubeconfig is for this machine's network.
    const kubeconfig = join(dir, 'kubeconfig')
    const own = await readFile(cluster.kubeconfig, 'utf8')
    await writeFile(kubeconfig, own.replace(/server: \S+/, 'server: https://192.168.77.1:6443'), {
      mode: 0o600,
    })
    const objects = ['--kubeconfig', kubeconfig, '--state', join(dir, 'state'), '--endpoints', at(client)]
    const reach = ['--listen', String(port), '--service', SERVICE]
    const env = { POD_NAME: POD, POD_NAMESPACE: NAMESPACE, POD_IP: await cluster.nodeAddress('node-1') }
    await start([program('shellcron'), 'operator', ...objects, ...reach], env)
    await eventually(
      'the leader is in its EndpointSlice',
      async () =>
        (await cluster.tryKubectl(['-n', NAMESPACE, 'get', 'endpointslice', `${SERVICE}-leader`])).code === 0,
      120_000,
    )
  }

  async function cli(...args: string[]) {
    const reach = ['--kubeconfig', user, '-n', NAMESPACE, '--operator-namespace', NAMESPACE]
    const child = spawn(program('kubectl-shellcron'), [...args, ...reach], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>(resolve => void child.on('close', resolve)),
    ])
    return { stdout, stderr, code }
  }

  test('without the right to forward a port, the message names the right and the other way', async () => {
    expect(await cli('history')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cannot forward a port to pod .*operator.*403.*--server/s) as string,
    })
  })

  test('reaches the operator by a port-forward to its pod, with the rights of the user', async () => {
    const verbs = ['--verb=get,create', '--resource=pods/portforward']
    await inNamespace('create', 'role', 'forward', ...verbs)
    await inNamespace('create', 'rolebinding', 'forward', '--role=forward', '--user=forwarder')
    const seen = await eventually('it is allowed', async () => {
      const said = await cli('history')
      return said.stderr.includes('403') ? undefined : said
    })
    expect(seen).toEqual({ code: 0, stdout: '', stderr: 'no results found\n' })
    expect(await cli('logs', 'nothing')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no run of this ShellCronJob is known') as string,
    })
    expect(await cli('logs', 'default/nothing')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('user "forwarder" may not read') as string,
    })
  })

  test("the operator's Service leads to the leader", async () => {
    const address = await inNamespace('get', 'service', SERVICE, '--output=jsonpath={.spec.clusterIP}')
    const forward = await cluster.forward(address, 9443)
    ends.push(async () => forward.close())
    const said = await eventually('it answers', () =>
      ask(`https://127.0.0.1:${forward.port}/v1/history`, { rejectUnauthorized: false }).catch(
        () => undefined,
      ),
    )
    expect(said).toMatchObject({ status: 401 })
  })
})

function objects(port: number) {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: POD },
    spec: {
      hostNetwork: true,
      nodeName: 'node-1',
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'wait',
          image: 'localhost/busybox:1',
          imagePullPolicy: 'Never',
          command: ['/bin/busybox', 'sleep', '100000'],
        },
      ],
    },
  }
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: SERVICE },
    spec: { ports: [{ name: 'api', port: 9443, targetPort: port }] },
  }
  return { apiVersion: 'v1', kind: 'List', items: [pod, service] }
}
