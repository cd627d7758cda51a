import { afterAll, beforeAll, expect, test } from 'vitest'
import { APPLY_PATCH, accepted, type KubeApi, MERGE_PATCH } from '../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { eventually } from '../fault/eventually.ts'
import { AGENT, type KubernetesFleet, startKubernetesFleet } from '../fixtures/kubernetes-fleet.ts'
import { cluster, host, job, NS, policy, run, type View, viewOf } from '../fixtures/kubernetes-objects.ts'
import { argocdHealth, kstatus, writeHealthScripts } from '../servers/gitops-tools.ts'

/** ShellCron under a GitOps controller: what Flux and Argo CD make of its objects, and that nobody changes what another one applied. */
let fleet: KubernetesFleet
let api: KubeApi
let see: View
const MANAGER = 'argocd-controller'

interface Live {
  kind: string
  metadata: {
    name: string
    uid: string
    generation: number
    annotations?: Record<string, string>
    managedFields: { manager: string; operation: string; subresource?: string; fieldsV1: object }[]
  }
  spec: object
  status: { phase?: string; lastScheduleTime?: string; observedGeneration?: number }
}

interface Manifest {
  kind: string
  metadata: { name: string; namespace?: string }
  spec: object
}

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  api = connectKubernetes(fleet.kubernetes.adminKubeconfig)
  see = viewOf(api)
  await fleet.kubernetes.kubectl(['create', 'namespace', NS])
  await apply(cluster('ShellPool', 'default', { sessionTTLSeconds: 10 }))
  await apply(cluster('ShellAgent', AGENT, { external: {} }))
  await apply(policy(NS))
  await fleet.kubernetes.kubectl(['wait', `shellagent/${AGENT}`, '--for=condition=Ready', '--timeout=60s'])
})
afterAll(() => fleet?.stop())

const PLURALS: Record<string, string> = { ShellPolicy: 'shellpolicies' }

function pathOf({ kind, metadata: { name, namespace } }: Manifest): string {
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`
  return `/apis/shellcron.dev/v1alpha1/${namespace ? `namespaces/${namespace}/` : ''}${plural}/${name}`
}

/** Server-side apply, as Argo CD and Flux do it. Resolves to the object as the server then has it. */
async function apply(manifest: object, query = ''): Promise<Live> {
  const path = `${pathOf(manifest as Manifest)}?fieldManager=${MANAGER}${query}`
  const answer = await api.request({ path, method: 'PATCH', body: manifest, contentType: APPLY_PATCH })
  return accepted(answer, path) as Live
}

async function read(manifest: object): Promise<Live> {
  const path = pathOf(manifest as Manifest)
  return accepted(await api.request({ path }), path) as Live
}

/** Applies it, and resolves to the object once these conditions are True. */
async function settled(manifest: object, ...conditions: string[]): Promise<Live> {
  const { kind, metadata } = (await apply(manifest)) as Live
  const look = () => (kind === 'ShellRun' ? see.run(metadata.name) : see.job(metadata.name))
  await see.settled<never>(look as never, ...conditions)
  return read(manifest)
}

const runOf = (name: string, script: string, spec: object = {}) =>
  run(name, { template: host(script), ...spec })
const never = 'spec.schedule says 30 February'
const secret = [{ name: 'P', valueFrom: { secretKeyRef: { name: 'absent', key: 'k' } } }]
const reads = (name: string) => job(name, '', { template: host('true', { env: secret }) })

type State = [state: string, kstatus: string, argocd: string, make: () => Promise<Live>]

const states: State[] = [
  ['a job that nobody has judged', 'InProgress', 'Progressing', () => apply(job('new', 'true'))],
  ['a scheduled job', 'Current', 'Healthy', () => settled(job('good', 'true'), 'Ready')],
  [
    'an edited job with the status of before',
    'InProgress',
    'Progressing',
    () => apply(job('good', 'true', { schedule: '@monthly' })),
  ],
  [
    'a suspended job',
    'Current',
    'Healthy',
    () => settled(job('suspended', 'true', { suspend: true }), 'Ready'),
  ],
  [
    `a job that only an edit helps: ${never}`,
    'Failed',
    'Degraded',
    () => settled(job('refused', 'true', { schedule: '0 0 30 2 *' }), 'Stalled'),
  ],
  [
    'a job that waits for a Secret',
    'InProgress',
    'Progressing',
    () => settled(reads('waiting'), 'Reconciling'),
  ],
  ['a job whose last run failed', 'Current', 'Healthy', failedOnce],
  [
    'a ShellRun that runs',
    'InProgress',
    'Progressing',
    async () => {
      const manifest = runOf('running', 'sleep 600')
      await apply(manifest)
      return eventually('it runs', async () => {
        const live = await read(manifest)
        return live.status.phase === 'Running' && live
      })
    },
  ],
  [
    'a ShellRun that succeeded',
    'Current',
    'Healthy',
    () => settled(runOf('succeeded', 'true'), 'Ready', 'Complete'),
  ],
  ['a ShellRun that failed', 'Failed', 'Degraded', () => settled(runOf('failed', 'exit 3'), 'Failed')],
  ['a pool', 'Current', 'Healthy', () => accept(cluster('ShellPool', 'other', {}))],
  ['a policy', 'Current', 'Healthy', () => accept(policy('elsewhere'))],
  ['an agent that is connected', 'Current', 'Healthy', () => read(cluster('ShellAgent', AGENT, {}))],
  [
    'an agent that never joined',
    'InProgress',
    'Suspended',
    () => accept(cluster('ShellAgent', 'away', { external: {} })),
  ],
]

/** Resolves once the operator has seen the object. */
async function accept(manifest: object): Promise<Live> {
  await apply(manifest)
  return eventually('it is seen', async () => {
    const live = await read(manifest)
    return live.status?.observedGeneration === live.metadata.generation && live
  })
}

async function failedOnce(): Promise<Live> {
  const manifest = job('failing', 'exit 1', { schedule: '* * * * * *' })
  await apply(manifest)
  await eventually('it has failed', async () => {
    const { status } = await see.job('failing')
    return status?.lastResult === 'Failed'
  })
  return settled(job('failing', 'exit 1', { schedule: '* * * * * *', suspend: true }), 'Ready')
}

test('kstatus and the health scripts judge objects as a real operator leaves them', async () => {
  const scripts = await writeHealthScripts(fleet.dir)
  const seen: string[][] = []
  for (const [state, , , make] of states) {
    const live = await make()
    const [flux] = await kstatus([live])
    const [argocd] = await argocdHealth(scripts.get(live.kind) ?? '', [live])
    seen.push([state, flux?.status ?? '', argocd?.status ?? ''])
  }
  expect(seen).toEqual(states.map(([state, flux, argocd]) => [state, flux, argocd]))
})

test('an object that is deleted while it runs is Terminating', async () => {
  const manifest = runOf('ending', 'trap "" TERM; while :; do sleep 1; done', {
    template: host('trap "" TERM; while :; do sleep 1; done', { terminationGracePeriodSeconds: 20 }),
  })
  await apply(manifest)
  await eventually('it runs', async () => (await read(manifest)).status.phase === 'Running')
  await prune(manifest)
  const [flux] = await kstatus([await read(manifest)])
  expect(flux?.status).toBe('Terminating')
})

/** As Argo CD and Flux do it. */
async function prune(manifest: object): Promise<void> {
  const path = pathOf(manifest as Manifest)
  const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' }
  accepted(await api.request({ path, method: 'DELETE', body }), path)
}

/** What a GitOps controller compares with Git. */
const compared = ({ metadata: { generation, annotations }, spec }: Live) => ({
  generation,
  annotations,
  spec,
})

const ticking = job('ticking', 'true', {
  schedule: '* * * * * *',
  template: host('true', { env: [{ name: 'A', value: 'b' }] }),
})

async function fires(count: number): Promise<void> {
  const times = new Set<string | undefined>()
  await eventually(
    `${count} fires`,
    async () => times.add((await read(ticking)).status.lastScheduleTime).size > count,
    120_000,
  )
}

test('after ten fires the object is as its manager applied it', async () => {
  const applied = await settled(ticking, 'Ready')
  await fires(10)
  const live = await read(ticking)
  const dry = await apply(ticking, '&dryRun=All')
  expect(compared(live)).toEqual(compared(applied))
  expect(compared(dry)).toEqual(compared(live))
  const owned = live.metadata.managedFields
    .filter(({ manager }) => manager !== MANAGER)
    .map(({ subresource = '', fieldsV1 }) => [subresource, Object.keys(fieldsV1)])
  expect(owned).toContainEqual(['status', ['f:status']])
  expect(owned).toContainEqual(['', ['f:metadata']])
  expect(owned).toHaveLength(2)
  const finalizer = live.metadata.managedFields.find(
    ({ manager, subresource }) => manager !== MANAGER && !subresource,
  )
  expect(finalizer?.fieldsV1).toEqual({
    'f:metadata': { 'f:finalizers': { '.': {}, 'v:"shellcron.dev/runs"': {} } },
  })
})

test('a job that an administrator has suspended by annotation stays so when Git is applied again', async () => {
  const annotations = { 'shellcron.dev/paused': 'alice' }
  const path = pathOf(ticking as Manifest)
  const body = { metadata: { annotations } }
  accepted(await api.request({ path, method: 'PATCH', body, contentType: MERGE_PATCH }), path)
  await eventually('it is suspended', async () => {
    const ready = (await see.job('ticking')).status.conditions?.find(({ type }) => type === 'Ready')
    return ready?.status === 'True' && ready.message === 'suspended by alice'
  })
  const again = await apply(ticking)
  expect(again.metadata.annotations).toMatchObject(annotations)
  expect(compared(await apply(ticking, '&dryRun=All'))).toEqual(compared(again))
})

test('pruned objects go away while the operator lives', async () => {
  for (const manifest of [ticking, runOf('succeeded', 'true'), runOf('running', 'sleep 600')]) {
    await prune(manifest)
    const path = pathOf(manifest as Manifest)
    await eventually(`${path} is gone`, async () => (await api.request({ path })).status === 404, 60_000)
  }
})
