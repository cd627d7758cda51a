import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEtcdServer } from '../../cli/up/etcd-server.ts'
import { writeIdentity } from '../../operator/identity/enrol.ts'
import { createCa, issue } from '../../platform/certificates.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { freePorts } from '../../platform/free-ports.ts'
import { eventually } from '../fault/eventually.ts'
import { etcdPrograms } from '../servers/binaries.ts'
import { applyCrds } from '../servers/crds.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { type Kubernetes, startKubernetes } from '../servers/kubernetes.ts'

/** What an operator says that lacks a right, with an account of its own and the RBAC of a real API server. */
let kubernetes: Kubernetes
const ends: (() => Promise<unknown>)[] = []
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
let start: (name: string) => Promise<{ child: Child; ready(): Promise<{ status: number; text: string }> }>
const kubectl = (...args: string[]) => kubernetes.kubectl(args)

beforeAll(async () => {
  const directory = await temporaryDirectory('shellcron-rights-')
  const dir = directory.path
  ends.push(directory.remove)
  kubernetes = await startKubernetes()
  ends.push(() => kubernetes.stop())
  await applyCrds(kubernetes)
  await kubectl('create', 'namespace', 'shellcron')
  const ca = await createCa({ commonName: 'etcd', days: 1 })
  const pair = await issue(ca, {
    commonName: 'root',
    names: ['localhost', '127.0.0.1'],
    usage: 'both',
    hours: 24,
  })
  await writeIdentity(join(dir, 'etcd-tls'), { 'ca.crt': ca.cert, 'tls.crt': pair.cert, 'tls.key': pair.key })
  const etcd = await startEtcdServer({
    binary: join(await etcdPrograms(), 'etcd'),
    dir: join(dir, 'etcd'),
    tls: {
      ca: join(dir, 'etcd-tls/ca.crt'),
      cert: join(dir, 'etcd-tls/tls.crt'),
      key: join(dir, 'etcd-tls/tls.key'),
    },
  })
  ends.push(() => etcd.stop(0))
  const kubeconfig = await kubernetes.kubeconfigFor('operator')
  start = async name => {
    const [port = 0] = await freePorts(1)
    const args = [
      'operator',
      '--kubeconfig',
      kubeconfig,
      '--state',
      join(dir, name),
      '--health',
      `127.0.0.1:${port}`,
    ]
    const child = await startChild({
      command: program,
      args: [...args, '--endpoints', etcd.endpoint, '--etcd-identity', join(dir, 'etcd-tls')],
      env: { ...process.env, POD_NAME: name, POD_NAMESPACE: 'shellcron' },
    })
    ends.push(() => child.stop(5_000))
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      return { status: response?.status ?? 0, text: (await response?.text()) ?? '' }
    }
    return { child, ready }
  }
  await giveRights()
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

/** All that it needs, but not to list ShellPolicies. */
async function giveRights() {
  const bind = async (name: string, ...rule: string[]) => {
    await kubectl('create', 'clusterrole', name, ...rule)
    await kubectl('create', 'clusterrolebinding', name, `--clusterrole=${name}`, '--user=operator')
  }
  const ours = ['shellcronjobs', 'shellruns', 'shellagents', 'shellpools'].map(
    kind => `${kind}.shellcron.dev`,
  )
  await bind('ours', '--verb=*', `--resource=${[...ours, 'nodes'].join(',')}`)
  const own = ['leases.coordination.k8s.io', 'secrets', 'events']
  await kubectl('create', 'role', 'own', '-n', 'shellcron', '--verb=*', `--resource=${own.join(',')}`)
  await kubectl('create', 'rolebinding', 'own', '-n', 'shellcron', '--role=own', '--user=operator')
}

test('an operator that may not list one kind names it in /readyz and in an Event of its Lease, and works once it may', async () => {
  const { ready } = await start('operator-1')
  const wanted = /may not list and watch ShellPolicy.*shellpolicies.shellcron.dev is forbidden/
  await eventually(
    '/readyz names the kind',
    async () => {
      const { status, text } = await ready()
      return status === 503 && wanted.test(text)
    },
    60_000,
  )
  const event = await eventually('an Event says so', async () => {
    const list = await kubectl('get', 'events', '-n', 'shellcron', '-o', 'json')
    const { items } = JSON.parse(list) as {
      items: { reason: string; message: string; involvedObject: { kind: string; name: string } }[]
    }
    return items.find(({ reason }) => reason === 'Forbidden')
  })
  expect(event.message).toMatch(wanted)
  expect(event.involvedObject).toMatchObject({ kind: 'Lease', name: 'shellcron-operator' })
  await kubectl('create', 'clusterrole', 'policies', '--verb=*', '--resource=shellpolicies.shellcron.dev')
  await kubectl('create', 'clusterrolebinding', 'policies', '--clusterrole=policies', '--user=operator')
  await eventually('it is ready', async () => (await ready()).text === 'ok\n', 60_000)
})

test('a candidate is ready, and says that it is one', async () => {
  const { child, ready } = await start('operator-2')
  await eventually('it is ready', async () => (await ready()).status === 200, 60_000)
  expect(await ready()).toEqual({ status: 200, text: 'candidate\n' })
  await child.stop(5_000)
})

test('a candidate that may not read the Lease any more is not ready, and says why', async () => {
  const { ready } = await start('operator-3')
  await eventually('it is a candidate', async () => (await ready()).status === 200, 60_000)
  await kubectl('delete', 'rolebinding', 'own', '-n', 'shellcron')
  await eventually(
    'it says why',
    async () => /Lease.*leases.coordination.k8s.io.*forbidden/s.test((await ready()).text),
    60_000,
  )
})
