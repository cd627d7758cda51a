import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createKubernetesResources } from '../../../operator/resources/kubernetes/resources.ts'
import type { ObjectRef, Resources } from '../../../operator/resources/port.ts'
import { systemClock } from '../../../platform/clock.ts'
import type { KubeApi } from '../../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { silentLog } from '../../../platform/log.ts'
import { eventually } from '../../fault/eventually.ts'
import { type Proxy, startProxy } from '../../fault/proxy.ts'
import { applyCrds } from '../../servers/crds.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

let kubernetes: Kubernetes
let proxy: Proxy
let directory: string
/** A client through the proxy. */
let kubeconfig: string
const stops: AbortController[] = []

beforeAll(async () => {
  kubernetes = await startKubernetes()
  await applyCrds(kubernetes)
  directory = await mkdtemp(join(tmpdir(), 'shellcron-kube-'))
  const text = await readFile(kubernetes.adminKubeconfig, 'utf8')
  const server = new URL(/server: *(\S+)/.exec(text)?.[1] ?? '')
  proxy = await startProxy({ host: server.hostname, port: Number(server.port) })
  kubeconfig = join(directory, 'kubeconfig')
  await writeFile(kubeconfig, text.replaceAll(server.host, `127.0.0.1:${proxy.port}`))
})
afterAll(async () => {
  await proxy?.close()
  await kubernetes?.stop()
  if (directory) await rm(directory, { recursive: true })
})
afterEach(() => {
  proxy.set({ kind: 'pass' })
  for (const stop of stops.splice(0)) stop.abort(new Error('the test is over'))
})

interface Started {
  resources: Resources
  told: ObjectRef[]
}

async function start(options: { api?: KubeApi; silentMs?: number; file?: string } = {}): Promise<Started> {
  const { api = connectKubernetes(options.file ?? kubeconfig), silentMs } = options
  const timing = silentMs === undefined ? {} : { silentMs }
  const resources = createKubernetesResources({ api, clock: systemClock, log: silentLog, ...timing })
  const told: ObjectRef[] = []
  resources.onChange(ref => told.push(ref))
  const stop = new AbortController()
  stops.push(stop)
  await resources.start(stop.signal)
  return { resources, told }
}

const manifest = (name: string, spec: Record<string, unknown> = {}) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind: 'ShellCronJob',
  metadata: { name, namespace: 'default' },
  spec: { schedule: '@daily', template: { spec: { host: {}, script: 'true' } }, ...spec },
})

async function apply(object: unknown): Promise<string> {
  await kubernetes.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) })
  const { kind, metadata } = object as { kind: string; metadata: { name: string; namespace?: string } }
  return field(kind, metadata.name, 'metadata.uid', metadata.namespace)
}

function field(kind: string, name: string, path: string, namespace = 'default'): Promise<string> {
  return kubernetes.kubectl(['get', kind, name, '-n', namespace, '-o', `jsonpath={.${path}}`])
}

const job = (name: string): ObjectRef => ({ kind: 'ShellCronJob', namespace: 'default', name })
const drop = (name: string) => kubernetes.kubectl(['delete', 'shellcronjob', name])
const has = ({ resources }: Started, name: string) =>
  resources.get('ShellCronJob', 'default', name) !== undefined

test('existing objects are there when start has resolved, and changes follow', async () => {
  const uid = await apply(manifest('first'))
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels: { role: 'db' } } })
  const started = await start()
  const { resources, told } = started
  expect(resources.get('ShellCronJob', 'default', 'first')?.metadata).toMatchObject({ uid, generation: 1 })
  expect(resources.list('Node')).toMatchObject([{ metadata: { name: 'n1' }, ready: false }])
  await apply(manifest('second'))
  await eventually('the second is seen', () => has(started, 'second'))
  await drop('second')
  await eventually('its end is seen', () => !has(started, 'second'))
  expect(told).toContainEqual(job('second'))
  expect(resources.staleForMs()).toBeLessThan(60_000)
})

test('changes during a lost connection are seen afterwards, deletions too', async () => {
  await apply(manifest('doomed'))
  await apply(manifest('edited'))
  const started = await start()
  proxy.set({ kind: 'refuse' })
  proxy.cut()
  await drop('doomed')
  await apply(manifest('edited', { suspend: true }))
  await apply(manifest('newcomer'))
  proxy.set({ kind: 'pass' })
  await eventually('the new one is seen', () => has(started, 'newcomer'))
  await eventually('the end is seen', () => !has(started, 'doomed'))
  expect(started.resources.get('ShellCronJob', 'default', 'edited')?.spec.suspend).toBe(true)
  expect(started.told).toContainEqual(job('doomed'))
})

test('a watch on a silent dead connection is cut, and started again', async () => {
  const started = await start({ silentMs: 2_000 })
  proxy.stall()
  await apply(manifest('after-silence'))
  await eventually('it is seen', () => has(started, 'after-silence'))
})

test('a watch from an expired version (410) is followed by a new list', async () => {
  const server = connectKubernetes(kubeconfig)
  let expired = 0
  const api: KubeApi = {
    request: server.request,
    lines: call => {
      if (expired > 0 || !call.path.includes('shellcronjobs')) return server.lines(call)
      expired++
      return server.lines({ ...call, path: call.path.replace(/resourceVersion=\d+/, 'resourceVersion=1') })
    },
  }
  await apply(manifest('before-expiry'))
  const started = await start({ api })
  await drop('before-expiry')
  await apply(manifest('after-expiry'))
  await eventually('the new one is seen', () => has(started, 'after-expiry'))
  await eventually('the end is seen', () => !has(started, 'before-expiry'))
  expect(expired).toBe(1)
})

test('a watch that the server ended regularly continues from there, without a new list', async () => {
  const server = connectKubernetes(kubeconfig)
  const calls = { lists: 0, watches: 0 }
  const api: KubeApi = {
    request: call => {
      if (call.path.includes('shellcronjobs?')) calls.lists++
      return server.request(call)
    },
    lines: call => {
      if (call.path.includes('shellcronjobs?')) calls.watches++
      return server.lines({ ...call, path: call.path.replace(/timeoutSeconds=\d+/, 'timeoutSeconds=2') })
    },
  }
  const started = await start({ api })
  await eventually('there was another watch', () => calls.watches > 1)
  await apply(manifest('after-the-end'))
  await eventually('it is seen', () => has(started, 'after-the-end'))
  expect(calls.lists).toBe(1)
})

test('a list of many pages is complete', async () => {
  const names = Array.from({ length: 7 }, (_, i) => `page-${i}`)
  const items = names.map(name => manifest(name))
  await kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })
  const server = connectKubernetes(kubeconfig)
  let pages = 0
  const api: KubeApi = {
    lines: server.lines,
    request: call => {
      if (call.path.includes('shellcronjobs?')) pages++
      return server.request({ ...call, path: call.path.replace('limit=500', 'limit=3') })
    },
  }
  const started = await start({ api })
  expect(names.filter(name => !has(started, name))).toEqual([])
  expect(pages).toBeGreaterThan(2)
})

test('own writes of status cause no event', async () => {
  const uid = await apply(manifest('quiet'))
  const { resources, told } = await start()
  told.length = 0
  await resources.applyStatus(job('quiet'), uid, { observedGeneration: 1, lastResult: 'Succeeded' })
  await apply(manifest('quiet-end'))
  await eventually('a later change is seen', () => told.some(({ name }) => name === 'quiet-end'))
  expect(told).not.toContainEqual(job('quiet'))
})

test('a status is applied as a whole, and only to the object with its uid', async () => {
  const uid = await apply(manifest('status'))
  const { resources } = await start()
  const applyStatus = (ref: ObjectRef, life: string, status: Record<string, unknown>) =>
    resources.applyStatus(ref, life, status)
  expect(await applyStatus(job('status'), uid, { observedGeneration: 1, lastResult: 'Failed' })).toBe(
    'applied',
  )
  expect(await field('scj', 'status', 'status.lastResult')).toBe('Failed')
  expect(await applyStatus(job('status'), uid, { observedGeneration: 1 })).toBe('applied')
  expect(await field('scj', 'status', 'status.lastResult')).toBe('')
  await drop('status')
  await apply(manifest('status'))
  expect(await applyStatus(job('status'), uid, { observedGeneration: 1 })).toBe('gone')
  await eventually('the new one is seen', () => {
    const seen = resources.get('ShellCronJob', 'default', 'status')?.metadata.uid
    return seen !== undefined && seen !== uid
  })
  expect(await applyStatus(job('status'), uid, { observedGeneration: 7 })).toBe('gone')
  expect(await field('scj', 'status', 'status.observedGeneration')).not.toBe('7')
  expect(await applyStatus(job('never'), uid, { observedGeneration: 1 })).toBe('gone')
})

test('a deleted object stays until the finalizer is removed', async () => {
  const uid = await apply({
    ...manifest('final'),
    metadata: { name: 'final', namespace: 'default', finalizers: ['example.com/other'] },
  })
  const started = await start()
  const { resources } = started
  expect(await resources.setFinalizer(job('final'), uid, true)).toBe('applied')
  expect(await resources.setFinalizer(job('final'), uid, true)).toBe('applied')
  expect(await field('scj', 'final', 'metadata.finalizers')).toBe(
    '["example.com/other","shellcron.dev/runs"]',
  )
  await kubernetes.kubectl(['delete', 'scj', 'final', '--wait=false'])
  const deleted = () => resources.get('ShellCronJob', 'default', 'final')?.metadata.deletionTimestamp
  await eventually('the deletion is seen', deleted)
  expect(await resources.setFinalizer(job('final'), uid, false)).toBe('applied')
  expect(await resources.setFinalizer(job('final'), uid, true)).toBe('gone')
  expect(await field('scj', 'final', 'metadata.finalizers')).toBe('["example.com/other"]')
  await kubernetes.kubectl(['patch', 'scj', 'final', '--type=merge', '-p', '{"metadata":{"finalizers":[]}}'])
  await eventually('the end is seen', () => !has(started, 'final'))
  expect(await resources.setFinalizer(job('final'), uid, false)).toBe('gone')
})

test('annotations of the right object are set and removed', async () => {
  const uid = await apply(manifest('annotated'))
  const { resources } = await start()
  expect(await resources.annotate(job('annotated'), uid, { 'shellcron.dev/kill': 'x' })).toBe('applied')
  expect(await field('scj', 'annotated', 'metadata.annotations.shellcron\\.dev/kill')).toBe('x')
  expect(await resources.annotate(job('annotated'), uid, { 'shellcron.dev/kill': null })).toBe('applied')
  expect(await field('scj', 'annotated', 'metadata.annotations.shellcron\\.dev/kill')).toBe('')
  const other = '00000000-0000-4000-8000-000000000000'
  expect(await resources.annotate(job('annotated'), other, { a: 'b' })).toBe('gone')
  expect(await resources.annotate(job('never'), uid, { a: 'b' })).toBe('gone')
})

test("a Node's ShellAgent is created, updated and removed, and users' fields stay", async () => {
  const node = await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n2' } })
  const { resources } = await start()
  const agent = {
    name: 'n2',
    labels: { zone: 'a' },
    node: { name: 'n2', uid: node },
    spec: { pool: 'default' },
  }
  await resources.putAgent(agent)
  await kubernetes.kubectl(['patch', 'sag', 'n2', '--type=merge', '-p', '{"spec":{"cordoned":true}}'])
  await resources.putAgent({ ...agent, labels: { zone: 'b' } })
  expect(await field('sag', 'n2', 'spec.cordoned')).toBe('true')
  expect(await field('sag', 'n2', 'metadata.labels.zone')).toBe('b')
  expect(await field('sag', 'n2', 'metadata.ownerReferences[0].uid')).toBe(node)
  const ref: ObjectRef = { kind: 'ShellAgent', namespace: '', name: 'n2' }
  const uid = await field('sag', 'n2', 'metadata.uid')
  expect(await resources.remove(ref, node)).toBe('removed')
  expect(await field('sag', 'n2', 'metadata.uid')).toBe(uid)
  await resources.remove(ref, uid)
  await resources.remove(ref, uid)
  await eventually('it is gone', () => resources.get('ShellAgent', '', 'n2') === undefined)
})

test('a ShellRun is created once with its name', async () => {
  const { resources } = await start()
  const manifest = {
    namespace: 'default',
    name: 'now',
    labels: { a: 'b' },
    spec: { jobRef: { name: 'one' } },
  }
  const made = await resources.createRun(manifest)
  expect(made).toEqual({ kind: 'created', uid: await field('srun', 'now', 'metadata.uid') })
  expect(await field('srun', 'now', 'metadata.labels.a')).toBe('b')
  expect(await resources.createRun(manifest)).toEqual({ kind: 'exists' })
  await eventually('it is seen', () => resources.get('ShellRun', 'default', 'now') !== undefined)
})

async function countOf(name: string, reason: string): Promise<string[]> {
  const selector = `involvedObject.name=${name},reason=${reason}`
  const range = 'jsonpath={range .items[*]}{.count} {.message}{"\\n"}{end}'
  const text = await kubernetes.kubectl(['get', 'events', '--field-selector', selector, '-o', range])
  return text.split('\n').filter((line: string) => line !== '')
}

test('there is one Event per object and reason, which counts up across restarts of the operator', async () => {
  const uid = await apply(manifest('eventful'))
  const { resources } = await start()
  for (let i = 1; i <= 3; i++) {
    resources.event(job('eventful'), uid, { type: 'Warning', reason: 'PolicyDenied', message: `no ${i}` })
  }
  resources.event(job('eventful'), uid, { type: 'Normal', reason: 'Compiled', message: 'yes' })
  await eventually('all are there', async () => (await countOf('eventful', 'Compiled')).length === 1)
  await eventually('all are counted', async () => (await countOf('eventful', 'PolicyDenied'))[0] === '3 no 3')
  const next = await start()
  next.resources.event(job('eventful'), uid, { type: 'Warning', reason: 'PolicyDenied', message: 'no 4' })
  await eventually('it goes on', async () => (await countOf('eventful', 'PolicyDenied'))[0] === '4 no 4')
  expect(await countOf('eventful', 'PolicyDenied')).toHaveLength(1)
})

test('after a burst of 25 Events an object gets no more', async () => {
  const uid = await apply(manifest('noisy'))
  const { resources } = await start()
  for (let i = 0; i < 30; i++) {
    resources.event(job('noisy'), uid, { type: 'Normal', reason: `Reason${i}`, message: 'x' })
  }
  await eventually('the burst is there', async () => (await countOf('noisy', 'Reason24')).length === 1)
  expect(await countOf('noisy', 'Reason25')).toEqual([])
})

test('an Event in a terminating namespace, or of a cluster-scoped object, stops nothing', async () => {
  await kubernetes.kubectl(['create', 'namespace', 'going'])
  await kubernetes.kubectl(['create', 'configmap', 'held', '-n', 'going'])
  const hold = '{"metadata":{"finalizers":["example.com/hold"]}}'
  await kubernetes.kubectl(['patch', 'configmap', 'held', '-n', 'going', '--type=merge', '-p', hold])
  await kubernetes.kubectl(['delete', 'namespace', 'going', '--wait=false'])
  const { resources } = await start()
  const uid = await apply(manifest('witness'))
  const occurrence = { type: 'Normal', reason: 'Something', message: 'x' } as const
  resources.event({ kind: 'ShellCronJob', namespace: 'going', name: 'x' }, 'uid-1', occurrence)
  resources.event({ kind: 'ShellAgent', namespace: '', name: 'an-agent' }, 'uid-2', occurrence)
  resources.event(job('witness'), uid, occurrence)
  await eventually('the last is there', async () => (await countOf('witness', 'Something')).length === 1)
  expect(await countOf('an-agent', 'Something')).toHaveLength(1)
})

test('a server that was killed and restarted is watched as before', async () => {
  await apply(manifest('before-restart'))
  const started = await start()
  await kubernetes.restartApiServer('SIGKILL')
  await drop('before-restart')
  await apply(manifest('after-restart'))
  await eventually('the new one is seen', () => has(started, 'after-restart'))
  await eventually('the end is seen', () => !has(started, 'before-restart'))
})
