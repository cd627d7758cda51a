import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectLauncher } from '../../agent/launcher/client.ts'
import { startEtcdServer } from '../../cli/up/etcd-server.ts'
import { agentOf } from '../../core/records/agent-user.ts'
import { userOf } from '../../operator/identity/access.ts'
import { openAuthority } from '../../operator/identity/authority.ts'
import { writeIdentity } from '../../operator/identity/enrol.ts'
import { secretKeyStore } from '../../operator/identity/keystore-secret.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { eventually } from '../fault/eventually.ts'
import { etcdPrograms } from '../servers/binaries.ts'
import { applyCrds } from '../servers/crds.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { type Kubernetes, startKubernetes } from '../servers/kubernetes.ts'

/** Agents of Nodes, which enrol with the projected token of their pod, on a real API server. The kubelet's part is done by the test. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
const NS = 'shellcron-agents'
const OWN = 'shellcron'
const NODE = 'node-1'
const ends: (() => Promise<unknown>)[] = []
let dir: string
let kubernetes: Kubernetes
let operatorUrl: string
let endpoint: string
const said: string[] = []

const apply = (...objects: object[]) =>
  kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  })
const node = (labels: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: NODE, labels },
})
const pool = (name: string, nodeSelector: Record<string, string>) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind: 'ShellPool',
  metadata: { name },
  spec: { sessionTTLSeconds: 5, nodeSelector },
})

async function child(args: string[], env: Record<string, string> = {}): Promise<Child> {
  const started = await startChild({
    command: program,
    args,
    env: { ...process.env, ...env },
    onLine: line => void said.push(line),
  })
  ends.push(() => started.stop(10_000))
  return started
}

beforeAll(async () => {
  const temporary = await temporaryDirectory('shellcron-nodes-')
  dir = temporary.path
  ends.push(temporary.remove)
  kubernetes = await startKubernetes()
  ends.push(() => kubernetes.stop())
  await applyCrds(kubernetes)
  for (const namespace of [OWN, NS]) await kubernetes.kubectl(['create', 'namespace', namespace])
  await kubernetes.kubectl(['create', 'serviceaccount', 'shellcron-agent', '-n', NS])
  const pod = {
    serviceAccountName: 'shellcron-agent',
    nodeName: NODE,
    containers: [{ name: 'c', image: 'i' }],
  }
  await apply(node({ disk: 'ssd' }), pool('fast', { disk: 'ssd' }), pool('slow', { disk: 'hdd' }), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'agent', namespace: NS },
    spec: pod,
  })
  const store = secretKeyStore({
    api: connectKubernetes(kubernetes.adminKubeconfig),
    namespace: OWN,
    name: 'shellcron-keys',
  })
  const authority = await openAuthority(store)
  const tls = { ca: authority.caCert, ...(await authority.server(['localhost', '127.0.0.1'], 24)) }
  await writeIdentity(join(dir, 'tls'), { ca: tls.ca, cert: tls.cert, key: tls.key })
  const files = { ca: join(dir, 'tls/ca'), cert: join(dir, 'tls/cert'), key: join(dir, 'tls/key') }
  const etcd = await startEtcdServer({
    binary: join(await etcdPrograms(), 'etcd'),
    dir: join(dir, 'etcd'),
    tls: files,
  })
  ends.push(() => etcd.stop(0))
  endpoint = etcd.endpoint
  const [port = 0] = await freePorts(1)
  operatorUrl = `https://localhost:${port}`
  const flags = {
    '--kubeconfig': kubernetes.adminKubeconfig,
    '--endpoints': endpoint,
    '--state': join(dir, 'operator'),
    '--listen': `127.0.0.1:${port}`,
    '--agent-namespace': NS,
    '--agent-service-account': `${NS}:shellcron-agent`,
    '--log-level': 'warn',
  }
  await child(['operator', ...Object.entries(flags).flat()], { POD_NAMESPACE: OWN })
})
afterAll(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** Starts the agent as its DaemonSet does, with the CA from the ConfigMap and the token from the pod's volume. */
async function agent(): Promise<Child> {
  const ca = await eventually(
    'the ConfigMap with the CA',
    async () => {
      const { stdout } = await kubernetes.tryKubectl([
        'get',
        'configmap',
        'shellcron-ca',
        '-n',
        NS,
        '-o',
        'jsonpath={.data.ca\\.crt}',
      ])
      return stdout
    },
    120_000,
  )
  const bound = ['--bound-object-kind', 'Pod', '--bound-object-name', 'agent']
  const token = await kubernetes.kubectl([
    'create',
    'token',
    'shellcron-agent',
    '-n',
    NS,
    '--audience',
    'shellcron-enrol',
    ...bound,
  ])
  await mkdir(join(dir, 'pod'), { recursive: true })
  await writeFile(join(dir, 'pod/ca.crt'), ca)
  await writeFile(join(dir, 'pod/token'), token)
  const flags = {
    '--endpoints': endpoint,
    '--operator': operatorUrl,
    '--identity': join(dir, 'identity'),
    '--state': join(dir, 'agent'),
    '--enrol-token-file': join(dir, 'pod/token'),
    '--ca': join(dir, 'pod/ca.crt'),
    '--name': NODE,
    '--log-level': 'warn',
  }
  ends.push(async () => {
    const launcher = await connectLauncher(join(dir, 'agent/launcher.sock')).catch(() => undefined)
    await launcher?.stop(false)
  })
  return await child(['agent', ...Object.entries(flags).flat()])
}

/** undefined: it has no certificate at the moment. */
const certified = async () => {
  const cert = await readFile(join(dir, 'identity/tls.crt'), 'utf8').catch(() => undefined)
  return cert === undefined ? undefined : agentOf(userOf(cert))
}

test("a node's agent enrols as its Node, in the pool that the Node's labels say; when they change it enrols in the other pool", async () => {
  const first = await agent()
  await eventually(
    () => `it is Ready; said: ${said.join('\n')}`,
    async () =>
      (await kubernetes.tryKubectl(['wait', `sag/${NODE}`, '--for=condition=Ready', '--timeout=1s'])).code ===
      0,
    120_000,
  )
  const before = await certified()
  expect(before).toMatchObject({ pool: 'fast', agent: NODE })

  await apply(node({ disk: 'hdd' }))
  // Its DaemonSet starts it again.
  await eventually(
    () => `the agent ends; said: ${said.join('\n')}`,
    () => first.ending(),
    120_000,
  )
  await agent()
  await eventually('it is in the other pool', async () => (await certified())?.pool === 'slow', 120_000)
  await eventually(
    'it is Ready',
    async () =>
      (await kubernetes.tryKubectl(['wait', `sag/${NODE}`, '--for=condition=Ready', '--timeout=1s'])).code ===
      0,
    120_000,
  )
  expect((await certified())?.id).not.toBe(before?.id)
})
