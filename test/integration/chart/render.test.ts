import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { CHART, type Helm, helmFor } from '../../fixtures/chart.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/** The chart on a real API server: every value file, every way to break it, and the size of its release. */
let kubernetes: Kubernetes
let helm: Helm & { remove(): Promise<void> }
const NAMESPACES = ['shellcron', 'shellcron-agents', 'node-agents', 'ops', 'shop']
const FILES = readdirSync(join(CHART, 'ci'))
/** Half of what etcd and the API server take. */
const MAX_RELEASE_BYTES = 512 * 1024

beforeAll(async () => {
  kubernetes = await startKubernetes()
  helm = await helmFor(kubernetes.adminKubeconfig)
  for (const name of NAMESPACES) await kubernetes.kubectl(['create', 'namespace', name])
  // A dry run creates no account, and without it the server refuses the test's pod.
  for (const name of ['shellcron-test', 'cron-test'])
    await kubernetes.kubectl(['create', 'serviceaccount', name, '-n', 'shellcron'])
})
afterAll(async () => {
  await helm?.remove()
  await kubernetes?.stop()
})

interface Rendered {
  kind: string
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> }
  // biome-ignore lint: objects of all kinds
  [field: string]: any
}

const template = (...args: string[]) => helm.run(['template', 'shellcron', CHART, '-n', 'shellcron', ...args])
const parsed = async (...args: string[]) =>
  parseAllDocuments(await template(...args)).flatMap(one => (one.toJS() as Rendered | null) ?? [])
/** Rejects with the server's message if it refuses an object. */
const accepted = (text: string) =>
  kubernetes.kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], { stdin: text })

test('helm lint --strict finds nothing, with every value file', async () => {
  for (const file of FILES) await helm.run(['lint', '--strict', CHART, '-f', join(CHART, 'ci', file)])
  await helm.run(['lint', '--strict', CHART, '--set', 'global.x=1,enabled=true'])
})

test.each(['', ...FILES])('an API server accepts every object of the values "%s"', async file => {
  const text = await template(...(file ? ['-f', join(CHART, 'ci', file)] : []))
  expect(await accepted(text)).toContain('daemonset.apps/')
})

test('each render is the same: there is nothing random in it, and nothing is looked up', async () => {
  expect(await template()).toBe(await template())
})

test('crds.enabled and crds.keep decide about the CRDs', async () => {
  const crds = async (...args: string[]) =>
    (await parsed(...args)).filter(({ kind }) => kind === 'CustomResourceDefinition')
  const kept = await crds()
  expect(kept).toHaveLength(6)
  expect(kept.every(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')).toBe(
    true,
  )
  const removed = await crds('--set', 'crds.keep=false')
  expect(removed.every(({ metadata }) => metadata.annotations === undefined)).toBe(true)
  expect(await crds('--set', 'crds.enabled=false')).toEqual([])
})

test.each([
  ['operator.replicas=2', /logStore\.postgresql\.url/],
  ['etcd.replicas=2', /etcd.*replicas/],
  ['etcd.enabled=false', /etcd\.external\.endpoints/],
  ['etcd.backup.enabled=true', /etcd\.backup\.claim/],
  ['agentNamespace.name=shellcron', /agentNamespace\.name/],
  ['operater.replicas=1', /operater/],
  ['agents.default.privileged=true', /privileged/],
])('%s is refused before anything is installed', async (set, why) => {
  const { code, stderr } = await helm.tryRun(['template', 'x', CHART, '-n', 'shellcron', '--set', set])
  expect(code).not.toBe(0)
  expect(stderr).toMatch(why)
})

test('all pods but the agents\' run as Pod Security "restricted" demands', async () => {
  await kubernetes.kubectl(['label', 'namespace', 'ops', 'pod-security.kubernetes.io/enforce=restricted'])
  for (const { kind, metadata, spec } of await parsed()) {
    const pod = spec?.template ?? (kind === 'Pod' ? { metadata, spec } : undefined)
    if (!pod || kind === 'DaemonSet') continue
    const claims: Rendered[] = spec.volumeClaimTemplates ?? []
    const volumes = [
      ...(pod.spec.volumes ?? []),
      ...claims.map(claim => ({ name: claim.metadata.name, emptyDir: {} })),
    ]
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x', namespace: 'ops' },
      spec: { ...pod.spec, volumes, serviceAccountName: 'default' },
    }
    expect(await accepted(JSON.stringify(manifest))).toContain('pod/x')
  }
})

test('no rule has a wildcard, unless Secrets of all namespaces are asked for', async () => {
  const rules = (await parsed()).flatMap(({ kind, rules: all }) => (kind.endsWith('Role') ? all : []))
  expect(rules.length).toBeGreaterThan(10)
  expect(JSON.stringify(rules)).not.toContain('"*"')
  const operator = JSON.stringify(rules)
  expect(operator).not.toContain('impersonate')
})

test('without the admission policies nobody gets the right to create tickets, because a ticket could name anybody', async () => {
  const creators = async (...args: string[]) =>
    (await parsed(...args)).filter(
      ({ kind, rules }) =>
        kind === 'ClusterRole' && JSON.stringify(rules).includes('"shelltickets"],"verbs":["create'),
    )
  expect(await creators()).toHaveLength(1)
  expect(await creators('--set', 'admission.enabled=false')).toEqual([])
})

test('agents have no rights on the API server, and mount a token for enrolment only', async () => {
  const objects = await parsed()
  const [set] = objects.filter(({ kind }) => kind === 'DaemonSet')
  const account = set?.spec.template.spec.serviceAccountName
  const bound = objects.filter(
    ({ kind, subjects }) =>
      kind.endsWith('Binding') && subjects?.some((one: { name: string }) => one.name === account),
  )
  expect(bound).toEqual([])
  expect(set?.spec.template.spec.automountServiceAccountToken).toBe(false)
})

test('Helm 3 installs, Helm 4 upgrades; the release is smaller than half of 1 MiB', async () => {
  const helm3 = await helmFor(kubernetes.adminKubeconfig, 3)
  try {
    await helm3.run([
      'install',
      'sized',
      CHART,
      '-n',
      'shellcron',
      '--set',
      'agentNamespace.name=sized-agents,nameOverride=sized',
    ])
    await helm.run([
      'upgrade',
      'sized',
      CHART,
      '-n',
      'shellcron',
      '--reuse-values',
      '--set',
      'operator.logLevel=debug',
    ])
    const path = 'jsonpath={.data.release}'
    for (const revision of [1, 2]) {
      const release = await kubernetes.kubectl([
        'get',
        'secret',
        `sh.helm.release.v1.sized.v${revision}`,
        '-n',
        'shellcron',
        '-o',
        path,
      ])
      expect(release.length).toBeLessThan(MAX_RELEASE_BYTES)
    }
  } finally {
    await helm.tryRun(['uninstall', 'sized', '-n', 'shellcron', '--no-hooks'])
    await helm3.remove()
  }
})
