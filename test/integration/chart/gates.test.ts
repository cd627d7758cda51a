import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { CHART, type Helm, helmFor } from '../../fixtures/chart.ts'
import { host, job, run } from '../../fixtures/kubernetes-objects.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/**
 * The chart's gates on a real API server, with users of different rights. Nothing of ShellCron runs: what is refused here is refused by RBAC
 * (the first gate) and by the admission policy (the second) alone.
 */
let kubernetes: Kubernetes
let helm: Helm & { remove(): Promise<void> }
const users = new Map<string, string>()
const NAMESPACE = 'ops'
const DENIED = 'shellcron-commands'

const inContainer = { spec: { container: { selector: { matchLabels: { app: 'web' } } }, script: 'true' } }
const onHost = job('on-host', 'true')
const contained = job('contained', 'true', { template: inContainer })

beforeAll(async () => {
  kubernetes = await startKubernetes()
  helm = await helmFor(kubernetes.adminKubeconfig)
  await helm.run(['install', 'shellcron', CHART, '-n', 'shellcron', '--create-namespace'])
  await kubernetes.kubectl(['create', 'namespace', NAMESPACE])
  await bound('viewer', 'view')
  await bound('editor', 'edit')
  await bound('admin', 'admin')
  await bound('host-editor', 'edit', 'shellcron-host')
  await bound('jobs-only', 'shellcron-edit')
  await kubernetes.kubectl(['create', 'clusterrole', 'wildcard', '--verb=*', '--resource=*.shellcron.dev'])
  await bound('wildcard', 'wildcard')
  const account = 'system:serviceaccount:shellcron:shellcron-operator'
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:shellcron', 'system:authenticated']
  users.set('operator', await kubernetes.kubeconfigFor(account, groups))
  // Roles are aggregated, and policies are compiled, some time after they were written.
  await eventually(
    'the roles are aggregated',
    async () => (await write('editor', contained, true)).code === 0,
  )
  await eventually('the policy is in force', async () => (await write('editor', onHost, true)).code !== 0)
})
afterAll(async () => {
  await helm?.remove()
  await kubernetes?.stop()
})

async function bound(user: string, ...roles: string[]): Promise<void> {
  users.set(user, await kubernetes.kubeconfigFor(user))
  for (const role of roles) {
    const of = [`--clusterrole=${role}`, `--user=${user}`, '-n', NAMESPACE]
    await kubernetes.kubectl(['create', 'rolebinding', `${user}-${role}`, ...of])
  }
}

const as = (user: string) => ({ kubeconfig: users.get(user) ?? '' })
const write = (user: string, object: object, isDryRun = false) =>
  kubernetes.tryKubectl(['apply', '--server-side', ...(isDryRun ? ['--dry-run=server'] : []), '-f', '-'], {
    ...as(user),
    stdin: JSON.stringify(object),
  })
const refused = async (user: string, object: object, why: string | RegExp) => {
  const { code, stderr } = await write(user, object)
  expect(code).not.toBe(0)
  expect(stderr).toMatch(why)
}
const allowed = async (user: string, object: object) => {
  const { code, stderr } = await write(user, object)
  expect(`${code} ${code === 0 ? '' : stderr}`).toBe('0 ')
}

test('gate 1: view reads jobs and writes none', async () => {
  await allowed('editor', contained)
  await kubernetes.kubectl(['get', 'scj', '-n', NAMESPACE], as('viewer'))
  await refused('viewer', contained, /cannot patch resource "shellcronjobs"/)
})

test.each(['view', 'edit', 'admin'])(
  'gate 1: the aggregated role %s has no host mode and no status',
  async role => {
    const json = await kubernetes.kubectl(['get', 'clusterrole', role, '-o', 'json'])
    const rules = (JSON.parse(json) as { rules: { apiGroups?: string[]; resources?: string[] }[] }).rules
    const ours = rules.filter(({ apiGroups }) => apiGroups?.includes('shellcron.dev'))
    const resources = new Set(ours.flatMap(({ resources = [] }) => resources))
    expect(resources).toContain('shellcronjobs')
    expect([...resources].filter(one => /host|status|\*|agents|policies|pools|tickets/.test(one))).toEqual([])
  },
)

test('gate 1: an editor and an admin of a namespace cannot write a status', async () => {
  for (const user of ['editor', 'admin']) {
    const { code, stderr } = await kubernetes.tryKubectl(
      ['apply', '--server-side', '--subresource=status', '-f', '-'],
      { ...as(user), stdin: JSON.stringify({ ...contained, status: {} }) },
    )
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/cannot patch resource "shellcronjobs\/status"/)
  }
})

test('gate 2: a host command needs the right to use shellcronjobs/host, whatever else the user may do', async () => {
  for (const user of ['editor', 'admin', 'jobs-only']) {
    await refused(user, onHost, DENIED)
    await refused(user, onHost, /needs the right to "use" shellcronjobs\/host/)
    await refused(user, run('on-host', { template: host('true') }), DENIED)
  }
  await allowed('host-editor', onHost)
  await allowed('host-editor', run('on-host', { template: host('true') }))
})

test('gate 2: a command in a container needs the right to create pods/exec', async () => {
  await refused('jobs-only', job('other', 'true', { template: inContainer }), /"create" pods\/exec/)
  await allowed('editor', contained)
})

test('gate 2: a run of a job needs the right to create shellcronjobs/run for that job', async () => {
  const rule = ['--verb=create,get,patch', '--resource=shellruns.shellcron.dev', '-n', NAMESPACE]
  await kubernetes.kubectl(['create', 'role', 'runs-only', ...rule])
  users.set('runs-only', await kubernetes.kubeconfigFor('runs-only'))
  await kubernetes.kubectl([
    'create',
    'rolebinding',
    'runs-only',
    '--role=runs-only',
    '--user=runs-only',
    '-n',
    NAMESPACE,
  ])
  await refused(
    'runs-only',
    run('again', { jobRef: { name: 'on-host' } }),
    /"create" shellcronjobs\/run for that job/,
  )
  const one = ['--verb=create', '--resource=shellcronjobs.shellcron.dev/run', '--resource-name=on-host']
  await kubernetes.kubectl(['create', 'role', 'run-one', ...one, '-n', NAMESPACE])
  await kubernetes.kubectl([
    'create',
    'rolebinding',
    'run-one',
    '--role=run-one',
    '--user=runs-only',
    '-n',
    NAMESPACE,
  ])
  await eventually(
    'the right counts',
    async () => (await write('runs-only', run('again', { jobRef: { name: 'on-host' } }))).code === 0,
  )
  await refused('runs-only', run('other', { jobRef: { name: 'contained' } }), DENIED)
})

test('gate 2: who may not write a host command may still change what is beside its spec', async () => {
  const annotate = (user: string, text: string) =>
    kubernetes.tryKubectl(
      ['annotate', 'scj', 'on-host', '-n', NAMESPACE, '--overwrite', `note=${text}`],
      as(user),
    )
  expect((await annotate('editor', 'a')).code).toBe(0)
  await refused('editor', job('on-host', 'false'), DENIED)
})

test("gate 2: the operator's own account is exempt, as it asks about the user's rights itself", async () => {
  await allowed('operator', run('for-a-user', { template: host('true') }))
})

test('gate 2: a wildcard role passes, which is why the third gate, ShellPolicy, exists', async () => {
  await allowed('wildcard', job('by-wildcard', 'true'))
})

test('root on hosts, every second and no deadline are warned about, and allowed', async () => {
  const { code, stderr } = await write('host-editor', job('loud', 'true', { schedule: '* * * * * *' }))
  expect(code).toBe(0)
  expect(stderr).toMatch(/runs as root on hosts/)
  expect(stderr).toMatch(/runs every second/)
  expect(stderr).toMatch(/has no deadline/)
  const quiet = { spec: { host: { user: 'nobody' }, script: 'true', activeDeadlineSeconds: 60 } }
  const calm = await write('host-editor', job('calm', 'true', { schedule: '*/5 * * * * *', template: quiet }))
  expect(calm).toMatchObject({ code: 0 })
  expect(calm.stderr).not.toContain('shellcron-warnings')
})
