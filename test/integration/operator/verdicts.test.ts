import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import type { Result } from '../../../core/records/state.ts'
import type { Condition, JobStatus } from '../../../core/schema/status.ts'
import type { ObjectRef } from '../../../operator/resources/port.ts'
import { readConfig } from '../../../operator/startup/config.ts'
import { startOperator } from '../../../operator/startup/start.ts'
import { createResultReporter } from '../../../operator/status/report-results.ts'
import { systemClock } from '../../../platform/clock.ts'
import { APPLY_PATCH, accepted, type KubeApi } from '../../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { createLog, silentLog } from '../../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import { type Cluster, startCluster } from '../../fault/etcd/servers.ts'
import { eventually } from '../../fault/eventually.ts'
import { applyCrds } from '../../servers/crds.ts'
import { temporaryDirectory } from '../../servers/directory.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/** In which order, and how often, a real operator writes the statuses of many objects on a real API server. */
const NS = 'default'
const COUNT = 300
const keys = createKeys()
let kubernetes: Kubernetes
let cluster: Cluster
let api: KubeApi
let etcd: Etcd
const directory = await temporaryDirectory('shellcron-verdicts-')
const operators: { stop(): Promise<void> }[] = []

interface Write {
  name: string
  uid: string
  status: JobStatus
}

beforeAll(async () => {
  kubernetes = await startKubernetes()
  await applyCrds(kubernetes)
  await kubernetes.kubectl(['create', 'namespace', 'shellcron'])
  api = connectKubernetes(kubernetes.adminKubeconfig)
  cluster = await startCluster(1)
  etcd = connectEtcd({ endpoints: cluster.endpoints, log: silentLog })
  const limits = { maxJobs: 10_000 }
  const rules = [{ pools: ['default'], host: { users: ['nobody'] }, limits }]
  await apply('shellpolicies', {
    kind: 'ShellPolicy',
    metadata: { name: 'default' },
    spec: { namespaces: [NS], rules },
  })
})
afterEach(async () => {
  for (const { stop } of operators.splice(0)) await stop()
})
afterAll(async () => {
  await etcd?.close()
  await cluster?.stop()
  await kubernetes?.stop()
  await directory.remove()
})

/** An operator with these budgets, and the statuses of jobs that it writes. */
async function operate(budgets: { writesPerSecond: number; verdictsPerSecond: number }) {
  const writes: Write[] = []
  const onStatus = ({ kind, name }: ObjectRef, uid: string, status: object) => {
    if (kind === 'ShellCronJob') writes.push({ name, uid, status: status as JobStatus })
  }
  const settings = { endpoints: cluster.endpoints, kubeconfig: kubernetes.adminKubeconfig }
  const config = readConfig({ ...settings, state: join(directory.path, 'state') }, {})
  const log = createLog(process.env.TEST_LOG ?? 'silent')
  const stop = new AbortController()
  const tasks: Parameters<typeof startOperator>[0]['tasks'] = ({ outcomes: { logStore } }) => [
    createResultReporter({ logStore, onStatus, ...budgets }),
  ]
  const { done } = await startOperator({ config, clock: systemClock, log, tasks }, stop.signal)
  const one = {
    writes,
    writesOf: (name: string) => writes.filter(write => write.name === name),
    async stop() {
      stop.abort(new Error('the test has stopped the operator'))
      await done
    },
  }
  operators.push(one)
  return one
}

async function apply(
  plural: string,
  object: { kind: string; metadata: { name: string; namespace?: string }; spec: object },
): Promise<void> {
  const { name, namespace } = object.metadata
  const of = `${namespace ? `namespaces/${namespace}/` : ''}${plural}/${name}`
  const path = `/apis/shellcron.dev/v1alpha1/${of}?fieldManager=gitops`
  const body = { apiVersion: 'shellcron.dev/v1alpha1', ...object }
  accepted(await api.request({ path, method: 'PATCH', body, contentType: APPLY_PATCH, within: 60_000 }), path)
}

const job = (name: string, { user = 'nobody', schedule = '@yearly' } = {}) =>
  apply('shellcronjobs', {
    kind: 'ShellCronJob',
    metadata: { name, namespace: NS },
    spec: { schedule, template: { spec: { host: { user }, script: 'true' } } },
  })

/** A third is good, a third is refused until a policy changes, and a third until it is edited. */
const KINDS = ['good', 'refused', 'impossible']
const names = (prefix: string) => Array.from({ length: COUNT }, (_, i) => `${prefix}-${KINDS[i % 3]}-${i}`)
const userOf = (name: string) => (name.includes('refused') ? 'root' : 'nobody')

async function applyAll(prefix: string, schedule = '@yearly'): Promise<void> {
  const all = names(prefix)
  const never = schedule === '@yearly' ? '0 0 30 2 *' : '0 0 31 2 *'
  const worker = async () => {
    for (let name = all.pop(); name !== undefined; name = all.pop())
      await job(name, {
        user: userOf(name),
        schedule: name.includes('impossible') ? never : schedule,
      })
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

/**
 * The verdicts that were written, each for its generation. After 2 minutes without a policy Stalled is a further verdict; here it depends on
 * the speed of the machine. An equal status that is written again repairs what somebody else may have written, and is no new version.
 */
function verdicts(writes: readonly Write[]): string[] {
  const texts = writes
    .filter(({ status }) => !status.conditions?.some(isStalledByPolicy))
    .map(({ status }) => JSON.stringify(status))
  return texts
    .filter((text, i) => text !== texts[i - 1])
    .map(text => {
      const { observedGeneration, conditions = [] } = JSON.parse(text) as JobStatus
      const ready = conditions.find(({ type }) => type === 'Ready')
      return `${observedGeneration} ${ready?.status} ${ready?.reason}`
    })
}
const isStalledByPolicy = ({ type, status, reason }: Condition) =>
  type === 'Stalled' && status === 'True' && reason === 'PolicyRefused'

function expected(name: string, generation: number): string {
  if (name.includes('impossible')) return `${generation} False InvalidSchedule`
  return userOf(name) === 'root' ? `${generation} False PolicyRefused` : `${generation} True Compiled`
}

test(`each of ${COUNT} objects is written once for its creation, and once for an edit`, async () => {
  const { writes, writesOf } = await operate({ writesPerSecond: 1_000, verdictsPerSecond: 1_000 })
  const all = names('first')
  /** Each further verdict on an object waits for a second. So a superfluous write of another object would have come before the third. */
  const pass = async (name: string) => {
    for (const [i, schedule] of ['@yearly', '@monthly', '@weekly'].entries()) {
      await job(name, { schedule })
      await eventually(name, () => writesOf(name).some(one => one.status.observedGeneration === i + 1))
    }
  }
  await applyAll('first')
  await eventually('all verdicts', () => new Set(writes.map(({ name }) => name)).size >= COUNT, 120_000)
  await pass('after-creation')
  for (const name of all) expect(verdicts(writesOf(name))).toEqual([expected(name, 1)])
  await applyAll('first', '@monthly')
  const edited = () =>
    writes.filter(({ name, status }) => name.startsWith('first') && status.observedGeneration === 2)
  await eventually('all verdicts', () => new Set(edited().map(({ name }) => name)).size >= COUNT, 120_000)
  await pass('after-edit')
  for (const name of all) expect(verdicts(writesOf(name))).toEqual([expected(name, 1), expected(name, 2)])
})

test(`the verdicts on ${COUNT} new objects are written while outcomes wait`, async () => {
  const uids = new Map(
    ((await listJobs()).items ?? []).map(({ metadata: { name, uid } }) => [name, uid] as const),
  )
  const { writes, writesOf } = await operate({ writesPerSecond: 1, verdictsPerSecond: 1_000 })
  const old = names('first')
  for (const [i, name] of old.entries())
    await putFailure(name, { uid: uids.get(name) ?? '', time: 1_000 + i })
  await applyAll('second')
  const fresh = () => writes.filter(({ name }) => name.startsWith('second'))
  await eventually('all verdicts', () => new Set(fresh().map(({ name }) => name)).size === COUNT, 150_000)
  for (const name of names('second')) expect(verdicts(writesOf(name))).toEqual([expected(name, 1)])
  const waiting = old.filter(name => !writesOf(name).some(({ status }) => status.lastResult === 'Failed'))
  expect(waiting.length).toBeGreaterThan(0)
})

async function listJobs() {
  const path = `/apis/shellcron.dev/v1alpha1/namespaces/${NS}/shellcronjobs`
  return accepted(await api.request({ path, within: 60_000 }), path) as {
    items: { metadata: { name: string; uid: string } }[]
  }
}

/** What an agent reports of a run that failed. */
async function putFailure(name: string, { uid, time }: { uid: string; time: number }): Promise<void> {
  const run = `${NS}.${name}.${time}`
  const result: Result = {
    kind: 'job',
    generation: 1,
    namespace: NS,
    name,
    uid,
    run,
    time,
    target: '-',
    agent: 'server-1',
    attempt: 1,
    startedAt: time,
    endedAt: time + 1,
    outcome: 'Failed',
    exitCode: 1,
    reason: 'NonZeroExit',
    final: true,
  }
  const put = { put: keys.result('default', run, 1), value: JSON.stringify(result) }
  await etcd.txn({ compare: [], then: [put], else: [] })
}
