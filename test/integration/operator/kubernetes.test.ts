import { createPrivateKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import { jobEntrySchema } from '../../../core/records/entry.ts'
import { sealingContext } from '../../../core/records/sealing-context.ts'
import { readConfig } from '../../../operator/startup/config.ts'
import { type Operator, startOperator } from '../../../operator/startup/start.ts'
import { createResultReporter } from '../../../operator/status/report-results.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createLog, silentLog } from '../../../platform/log.ts'
import { unseal } from '../../../platform/sealing.ts'
import { signedText } from '../../../platform/signing.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import { parseValue } from '../../../store/protocol/versioned.ts'
import { type Cluster, startCluster } from '../../fault/etcd/servers.ts'
import { eventually } from '../../fault/eventually.ts'
import { applyCrds } from '../../servers/crds.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/** The operator as it runs in a cluster: elected, its keys in a Secret, objects on a real API server. */
let kubernetes: Kubernetes
let cluster: Cluster
let etcd: Etcd
let dir: string
let operator: Operator
const stop = new AbortController()
const keys = createKeys()
const NS = 'default'

beforeAll(async () => {
  kubernetes = await startKubernetes()
  await applyCrds(kubernetes)
  await kubernetes.kubectl(['create', 'namespace', 'shellcron'])
  cluster = await startCluster(1)
  etcd = connectEtcd({ endpoints: cluster.endpoints, log: silentLog })
  dir = await mkdtemp(join(tmpdir(), 'shellcron-operator-'))
  const config = readConfig(
    {
      endpoints: cluster.endpoints,
      kubeconfig: kubernetes.adminKubeconfig,
      state: dir,
      health: '127.0.0.1:0',
    },
    {},
  )
  const log = createLog(process.env.TEST_LOG ?? 'silent')
  const tasks: Parameters<typeof startOperator>[0]['tasks'] = ({ outcomes }) => [
    createResultReporter({ logStore: outcomes.logStore }),
  ]
  operator = await startOperator({ config, clock: systemClock, log, tasks }, stop.signal)
})
afterAll(async () => {
  stop.abort(new Error('the test is over'))
  await operator?.done
  await etcd?.close()
  await cluster?.stop()
  await kubernetes?.stop()
  if (dir) await rm(dir, { recursive: true, force: true })
})

const apply = (object: unknown) => kubernetes.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) })
const ours = (kind: string, name: string, spec: object, namespace?: string) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind,
  metadata: { name, ...(namespace ? { namespace } : {}) },
  spec,
})
const cronJob = (name: string, template: object = {}) =>
  ours(
    'ShellCronJob',
    name,
    { schedule: '@daily', template: { spec: { host: { user: 'nobody' }, script: 'true', ...template } } },
    NS,
  )
const entryOf = async (name: string) => {
  const item = await etcd.get(keys.job({ pool: 'default', namespace: NS, name }))
  return item && parseValue(jobEntrySchema, signedText(item.value) ?? '')
}
const putSecret = (k: string) =>
  apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: NS }, stringData: { k } })
/** The values that an agent of the pool would open. */
async function opened(name: string): Promise<Record<string, string> | undefined> {
  const key = 'jsonpath={.data.pool-default\\.key}'
  const pem = await kubernetes.kubectl(['get', 'secret', 'shellcron-keys', '-n', 'shellcron', '-o', key])
  const poolKey = createPrivateKey(Buffer.from(pem, 'base64').toString())
  const entry = await entryOf(name)
  const text = entry?.sealed && unseal(entry.sealed, poolKey, sealingContext(entry))
  return text ? JSON.parse(text) : undefined
}
const health = async (path: string) => (await fetch(`http://127.0.0.1:${operator.healthPort}${path}`)).status

test('a leader is ready, and its keys are in a Secret', async () => {
  expect(await health('/healthz')).toBe(200)
  await eventually('ready', async () => (await health('/readyz')) === 200)
  expect(await health('/other')).toBe(404)
  const get = ['get', 'secret', 'shellcron-keys', '-n', 'shellcron', '-o', 'jsonpath={.data}']
  const names = await eventually('the pool has a key', async () => {
    const found = Object.keys(JSON.parse(await kubernetes.kubectl(get)))
    return found.includes('pool-default.key') && found
  })
  expect(names).toEqual(expect.arrayContaining(['operator.key', 'ca.pem']))
})

test('without a policy host mode is refused; with one it is allowed, with its Secret sealed', async () => {
  await putSecret('geheim')
  await apply(cronJob('a', { env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }))
  await eventually('it is refused', async () => (await entryOf('a'))?.blocked?.reason === 'PolicyRefused')
  await apply(
    ours('ShellPolicy', 'p', {
      namespaces: [NS],
      rules: [{ pools: ['default'], host: { users: ['nobody'] } }],
    }),
  )
  const entry = await eventually('it is allowed', async () => {
    const entry = await entryOf('a')
    return entry && !entry.blocked && !entry.suspended && entry
  })
  expect(entry.sealed).toBeDefined()
  expect(JSON.stringify(entry)).not.toContain('geheim')
  expect(await opened('a')).toEqual({ P: 'geheim' })
  await putSecret('neu')
  await eventually('it is sealed again', async () => (await opened('a'))?.['P'] === 'neu')
  expect(await entryOf('a')).toMatchObject({ generation: entry.generation })
  await kubernetes.kubectl(['wait', 'shellcronjob/a', '--for=condition=Ready', '--timeout=60s'])
})

test('the last value of a deleted Secret is used for a while, and the status says so; a new Secret is used at once', async () => {
  await kubernetes.kubectl(['delete', 'secret', 's', '-n', NS])
  await kubernetes.kubectl(['wait', 'shellcronjob/a', '--for=condition=Ready=False', '--timeout=60s'])
  expect(
    await kubernetes.kubectl(['get', 'shellcronjob', 'a', '-o', 'jsonpath={.status.conditions}']),
  ).toContain('Secret s does not exist')
  expect(await opened('a')).toEqual({ P: 'neu' })
  expect((await entryOf('a'))?.blocked).toBeUndefined()
  await putSecret('wieder')
  await eventually('it is sealed again', async () => (await opened('a'))?.['P'] === 'wieder')
  await kubernetes.kubectl(['wait', 'shellcronjob/a', '--for=condition=Ready', '--timeout=60s'])
  const all = await kubernetes.kubectl(['get', 'shellcronjobs,events', '-A', '-o', 'json'])
  for (const value of ['geheim', 'neu"', 'wieder']) expect(all).not.toContain(value)
})

test('a Node gets a ShellAgent and is a member; a control-plane Node is not', async () => {
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels: { role: 'db' } } })
  const controlPlane = { 'node-role.kubernetes.io/control-plane': '' }
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'cp', labels: controlPlane } })
  const member = await eventually('the member', () => etcd.get(keys.member('default', 'n1')))
  expect(JSON.parse(member.value)).toMatchObject({ labels: { role: 'db' }, cordoned: false })
  expect(await kubernetes.kubectl(['get', 'shellagents', '-o', 'jsonpath={.items[*].metadata.name}'])).toBe(
    'n1',
  )
})

const statusOf = async (kind: string, name: string) =>
  JSON.parse(await kubernetes.kubectl(['get', kind, name, '-n', NS, '-o', 'jsonpath={.status}'])) as {
    conditions: { type: string; status: string; reason: string; message: string }[]
    [field: string]: unknown
  }
const conditionOf = async (kind: string, name: string, wanted: string) =>
  (await statusOf(kind, name)).conditions?.find(({ type }) => type === wanted)

test('a job or a ShellRun that no agent can run says so: in a condition, an Event and the columns', async () => {
  const target = { target: { agents: ['nope'] } }
  await apply(cronJob('nobody', target))
  const once = { host: { user: 'nobody' }, script: 'true', ...target }
  await apply(ours('ShellRun', 'once', { template: { spec: once } }, NS))
  const none = { status: 'False', reason: 'NoAgentMatches', message: expect.stringContaining('nope') }
  await eventually('the job says so', async () => (await conditionOf('scj', 'nobody', 'HasTargets')) ?? false)
  expect(await conditionOf('scj', 'nobody', 'HasTargets')).toMatchObject(none)
  expect(await conditionOf('scj', 'nobody', 'Ready')).toMatchObject({ status: 'True' })
  await eventually(
    'the ShellRun says so',
    async () => ((await conditionOf('srun', 'once', 'Ready'))?.reason ?? '') === 'NoAgentMatches',
  )
  expect(await conditionOf('srun', 'once', 'Ready')).toMatchObject(none)
  for (const [kind, row] of [
    ['scj', /^nobody .* True +0\/0 /m],
    ['srun', /^once .*Pending +NoAgentMatches /m],
  ] as const)
    expect(await kubernetes.kubectl(['get', kind, '-n', NS])).toMatch(row)
  const names = 'jsonpath={.items[*].involvedObject.name}'
  const events = ['get', 'events', '-n', NS, '--field-selector', 'reason=NoAgentMatches', '-o', names]
  await eventually('there are Events', async () => {
    const seen = (await kubernetes.kubectl(events)).split(' ')
    return ['nobody', 'once'].every(name => seen.includes(name))
  })
})

test('a status of an idle object that somebody else changes is restored within a minute', async () => {
  await eventually('it has a status', async () => (await statusOf('scj', 'nobody')).schedule === '@daily')
  const status = { schedule: 'forged', lastResult: 'Succeeded' }
  const patch = ['patch', 'scj', 'nobody', '-n', NS, '--subresource=status', '--type=merge']
  await kubernetes.kubectl([...patch, '-p', JSON.stringify({ status })])
  await eventually(
    'it is restored',
    async () => {
      const { schedule, lastResult } = await statusOf('scj', 'nobody')
      return schedule === '@daily' && lastResult === undefined
    },
    60_000,
  )
})

test('kubectl delete waits for the finalizer, and leaves no key', async () => {
  await apply(cronJob('b'))
  await eventually('the entry', () => entryOf('b'))
  await kubernetes.kubectl(['delete', 'shellcronjob', 'b', '--timeout=60s'])
  expect(await entryOf('b')).toBeUndefined()
})

test('a drain removes every finalizer and empties jobs/', async () => {
  operator.setDraining(true)
  await eventually('nothing is left', async () => (await etcd.list(keys.jobs())).items.length === 0)
  await eventually('no finalizer', async () => {
    const finalizers = await kubernetes.kubectl([
      'get',
      'shellcronjobs',
      '-A',
      '-o',
      'jsonpath={.items[*].metadata.finalizers}',
    ])
    return finalizers === ''
  })
  await eventually('agents are told', async () =>
    (await etcd.get(keys.pool('default')))?.value.includes('"draining":true'),
  )
})
