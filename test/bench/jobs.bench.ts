import { join } from 'node:path'
import { createKeys } from '../../core/keys.ts'
import type { Child } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'
import { APPLY_PATCH, accepted, type KubeApi, MERGE_PATCH } from '../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { silentLog } from '../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { applyCrds } from '../servers/crds.ts'
import { temporaryDirectory } from '../servers/directory.ts'
import { type EtcdCluster, startEtcd } from '../servers/etcd.ts'
import { type Kubernetes, startKubernetes } from '../servers/kubernetes.ts'
import { flags, say, usage } from './figures.ts'
import { startPart, writeTls } from './program.ts'

/**
 * Many ShellCronJobs on a real API server: the cost of the operator's first start, and that its second one compares all and puts only what
 * changed while it was away. Then more jobs are applied at once, while the statuses of the others wait to be written again: how long until
 * the last one is Ready. Everything runs on one machine, also the API server and both etcds.
 *
 *   node test/bench/jobs.bench.ts [--jobs 10000] [--changed 100] [--ready-seconds 60] [--writes 20] [--verdicts 100] [--more 1000]
 *
 * `--ready-seconds 0` waits until all are Ready.
 */
const NS = 'bench'
const JOBS = `/apis/shellcron.dev/v1alpha1/namespaces/${NS}/shellcronjobs`
const IN_PARALLEL = 16
const LOOK_MS = 500
const LIMIT_MS = 1_800_000
const keys = createKeys()

interface Bench {
  api: KubeApi
  etcd: Etcd
  start(): Promise<Child>
}

const nameOf = (i: number) => `job-${String(i).padStart(6, '0')}`

function job(i: number, schedule = 'H H 1 1 *') {
  return {
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellCronJob',
    metadata: { name: nameOf(i), namespace: NS, labels: { team: `team-${i % 50}` } },
    spec: {
      schedule,
      template: {
        spec: {
          host: { user: 'nobody' },
          script: `df -h && free -m # ${i}`,
          env: [{ name: 'A', value: 'b' }],
        },
      },
    },
  }
}

async function inParallel(count: number, act: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({ length: IN_PARALLEL }, worker))
}

async function since<T>(act: () => Promise<T>): Promise<number> {
  const began = systemClock.monotonic()
  await act()
  return (systemClock.monotonic() - began) / 1_000
}

/** The revision of each entry. */
async function revisions(etcd: Etcd): Promise<Map<string, number>> {
  const { items } = await etcd.list(keys.jobs('default'))
  return new Map(items.map(({ key, mod }) => [key, mod]))
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  await eventually(what, async () => (await check()) || (await systemClock.sleep(LOOK_MS), false), LIMIT_MS)
}

/** In pages, because one answer with all would have a hundred megabytes. `from`: the name of the first job to count. */
async function countReady(api: KubeApi, from = ''): Promise<number> {
  let ready = 0
  let go = ''
  do {
    const answer = await api.request({
      path: `${JOBS}?limit=500&continue=${encodeURIComponent(go)}`,
      within: 60_000,
    })
    const page = accepted(answer, 'list') as {
      metadata: { continue?: string }
      items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[]
    }
    const isReady = ({ type, status }: { type: string; status: string }) =>
      type === 'Ready' && status === 'True'
    ready += page.items.filter(
      ({ metadata, status }) => metadata.name >= from && status?.conditions?.some(isReady),
    ).length
    go = page.metadata.continue ?? ''
  } while (go !== '')
  return ready
}

async function firstStart({ api, etcd, start }: Bench, count: number, readySeconds: number): Promise<Child> {
  const operator = await start()
  const entered = await since(() => until('all entries', async () => (await revisions(etcd)).size === count))
  say('first start', { 'entries-in-etcd-s': entered, 'per-second': count / entered, ...usage(operator.pid) })
  const before = await countReady(api)
  if (readySeconds > 0) {
    const took = await since(() => systemClock.sleep(readySeconds * 1_000))
    const rate = ((await countReady(api)) - before) / took
    say('first start', {
      'ready-per-second': rate,
      'all-ready-s-by-that-rate': count / rate,
      ...usage(operator.pid),
    })
  } else {
    const took = await since(() => until('all are Ready', async () => (await countReady(api)) === count))
    say('first start', { 'all-ready-s': entered + took, ...usage(operator.pid) })
  }
  return operator
}

/** Edits some jobs while no operator lives: spread over all, with the first and the last. */
async function edit(api: KubeApi, count: number, changed: number): Promise<Set<string>> {
  const chosen = Array.from({ length: changed }, (_, n) =>
    Math.round((n * (count - 1)) / Math.max(1, changed - 1)),
  )
  await inParallel(chosen.length, async n => {
    const path = `${JOBS}/${nameOf(chosen[n] ?? 0)}`
    const body = { spec: { schedule: 'H H 2 1 *' } }
    accepted(
      await api.request({ method: 'PATCH', path, body, contentType: MERGE_PATCH, within: 60_000 }),
      path,
    )
  })
  return new Set(chosen.map(i => keys.job({ pool: 'default', namespace: NS, name: nameOf(i) })))
}

async function secondStart({ api, etcd, start }: Bench, count: number, changed: number): Promise<Child> {
  const edited = await edit(api, count, changed)
  const before = await revisions(etcd)
  const rewritten = async () => {
    const now = await revisions(etcd)
    return [...before].filter(([key, mod]) => now.get(key) !== mod).map(([key]) => key)
  }
  const began = systemClock.monotonic()
  const operator = await start()
  await until('what changed is put', async () => {
    const done = new Set(await rewritten())
    return [...edited].every(key => done.has(key))
  })
  const took = (systemClock.monotonic() - began) / 1_000
  await until('it is idle', () => isIdle(operator.pid))
  const others = (await rewritten()).filter(key => !edited.has(key)).length
  say('second start', { 'changed-put-s': took, changed: edited.size, 'unchanged-rewritten': others })
  say('second start', { 'until-idle-s': (systemClock.monotonic() - began) / 1_000, ...usage(operator.pid) })
  return operator
}

/** Whether it has compared everything. Then it writes only its beacon, and statuses within their budget. */
async function isIdle(pid: number): Promise<boolean> {
  const before = usage(pid).cpuSeconds
  const took = await since(() => systemClock.sleep(3_000))
  return (usage(pid).cpuSeconds - before) / took < 0.3
}

/** Applies these jobs as a GitOps controller does. */
async function applyJobs(api: KubeApi, from: number, count: number): Promise<void> {
  await inParallel(count, async n => {
    const path = `${JOBS}/${nameOf(from + n)}?fieldManager=bench&force=true`
    const body = job(from + n)
    accepted(
      await api.request({ method: 'PATCH', path, body, contentType: APPLY_PATCH, within: 60_000 }),
      path,
    )
  })
}

async function applyMore(
  { api }: Bench,
  operator: Child,
  { from, count }: { from: number; count: number },
): Promise<void> {
  const began = systemClock.monotonic()
  const seconds = () => (systemClock.monotonic() - began) / 1_000
  const before = usage(operator.pid).cpuSeconds
  await applyJobs(api, from, count)
  const applied = seconds()
  await until('the new ones are Ready', async () => (await countReady(api, nameOf(from))) === count)
  const all = seconds()
  const cpu = usage(operator.pid).cpuSeconds - before
  say('applied at once', { jobs: count, 'applied-s': applied, 'all-ready-s': all, 'cpu-s': cpu })
}

async function prepare(kubernetes: Kubernetes, api: KubeApi, count: number): Promise<void> {
  await applyCrds(kubernetes)
  await kubernetes.kubectl(['create', 'namespace', NS])
  await kubernetes.kubectl(['create', 'namespace', 'shellcron'])
  const policy = {
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellPolicy',
    metadata: { name: 'bench' },
    spec: {
      namespaces: [NS],
      rules: [{ pools: ['default'], host: { users: ['nobody'] }, limits: { maxJobs: 100_000 } }],
    },
  }
  await kubernetes.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(policy) })
  const took = await since(() => applyJobs(api, 0, count))
  say('created', { jobs: count, s: took, 'per-second': count / took })
}

const given = flags({
  jobs: 10_000,
  changed: 100,
  'ready-seconds': 60,
  writes: 20,
  verdicts: 100,
  more: 1_000,
})
const directory = await temporaryDirectory('shellcron-jobs-')
const started: { kubernetes?: Kubernetes; cluster?: EtcdCluster; etcd?: Etcd } = {}
try {
  const kubernetes = (started.kubernetes = await startKubernetes())
  const cluster = (started.cluster = await startEtcd())
  const etcd = (started.etcd = connectEtcd({ ...cluster, log: silentLog }))
  const api = connectKubernetes(kubernetes.adminKubeconfig)
  await writeTls(join(directory.path, 'identity'), cluster)
  const args = ['--kubeconfig', kubernetes.adminKubeconfig, '--state', join(directory.path, 'state')]
  args.push('--etcd-identity', join(directory.path, 'identity'), '--status-writes', String(given.writes))
  args.push('--verdict-writes', String(given.verdicts))
  const bench: Bench = { api, etcd, start: () => startPart(['operator', ...args], cluster) }

  await prepare(kubernetes, api, given.jobs)
  const first = await firstStart(bench, given.jobs, given['ready-seconds'])
  await first.stop(30_000)
  const second = await secondStart(bench, given.jobs, Math.min(given.changed, given.jobs))
  await applyMore(bench, second, { from: given.jobs, count: given.more })
  await second.stop(30_000)
} finally {
  await started.etcd?.close()
  await started.cluster?.stop()
  await started.kubernetes?.stop()
  await directory.remove()
}
