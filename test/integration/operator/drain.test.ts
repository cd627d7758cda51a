import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import { startChild } from '../../../platform/child-process.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { eventually } from '../../fault/eventually.ts'
import { type KubernetesFleet, startKubernetesFleet } from '../../fixtures/kubernetes-fleet.ts'
import { job, NS, policy, type View, viewOf } from '../../fixtures/kubernetes-objects.ts'

/** `shellcron installation drain`, with a living and with a dead operator. */
let fleet: KubernetesFleet
let see: View
const program = fileURLToPath(new URL('../../../bin/shellcron', import.meta.url))
const NAMESPACE = 'shellcron'

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  see = viewOf(connectKubernetes(fleet.kubernetes.adminKubeconfig))
  await kubectl('create', 'namespace', NS)
  await apply(policy(NS))
})
afterAll(() => fleet?.stop())

const kubectl = (...args: string[]) => fleet.kubernetes.kubectl(args)
const apply = (object: object) =>
  fleet.kubernetes.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) })
const finalizers = async (name: string) =>
  kubectl('get', 'scj', name, '-n', NS, '-o', 'jsonpath={.metadata.finalizers}')
const jobsInEtcd = async () => (await fleet.etcd.list(`${createKeys().prefix}jobs/`)).items.length

async function drain(): Promise<{ code: number | undefined; lines: string[] }> {
  const lines: string[] = []
  const own = ['--kubeconfig', fleet.kubernetes.adminKubeconfig, '--namespace', NAMESPACE]
  const child = await startChild({
    command: program,
    args: ['installation', 'drain', ...own],
    onLine: line => void lines.push(line),
  })
  const { code } = await child.ended
  return { code: code ?? undefined, lines }
}

test('with a living operator: no finalizer stays, jobs/ is empty, and new objects get none', async () => {
  await apply(job('held', 'true'))
  await eventually('it is compiled', async () => (await jobsInEtcd()) === 1)
  expect(await finalizers('held')).toContain('shellcron.dev/runs')
  const { code, lines } = await drain()
  expect(code, lines.join('\n')).toBe(0)
  expect(await finalizers('held')).toBe('')
  await eventually('jobs/ is empty', async () => (await jobsInEtcd()) === 0)
  await apply(job('new', 'true'))
  await kubectl('delete', 'scj', 'new', '-n', NS, '--timeout=20s')
})

test('a removal that was given up: without the annotation the operator works as before', async () => {
  await kubectl('annotate', 'lease', 'shellcron-operator', '-n', NAMESPACE, 'shellcron.dev/draining-until-')
  await eventually('it is compiled again', async () => (await jobsInEtcd()) === 1, 60_000)
  await see.settled(() => see.job('held'), 'Ready')
})

test('with a dead operator: objects and namespaces can be deleted afterwards', async () => {
  expect(await finalizers('held')).toContain('shellcron.dev/runs')
  for (const operator of fleet.operators) await operator.stop(0)
  const { code, lines } = await drain()
  expect(code, lines.join('\n')).toBe(0)
  await kubectl('delete', 'namespace', NS, '--timeout=60s')
})
