import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { eventually } from '../fault/eventually.ts'
import { AGENT, type KubernetesFleet, startKubernetesFleet } from '../fixtures/kubernetes-fleet.ts'
import { cluster, host, job, NS, policy, run, type View, viewOf } from '../fixtures/kubernetes-objects.ts'
import { ask, type Said } from '../fixtures/server.ts'

/** `kubectl shellcron` and the operator's routes for users, with users of a real API server and their RBAC. */
let fleet: KubernetesFleet
let api: KubeApi
let see: View
let ca: string
/** Kubeconfigs: of a user with every right on jobs in NS, of one who may read the output of one job only, and of one without rights. */
let users: Record<'reader' | 'narrow' | 'stranger', string>

const program = fileURLToPath(new URL('../../bin/kubectl-shellcron', import.meta.url))
const admission = fileURLToPath(
  new URL('../../charts/shellcron/files/admission/shelltickets.yaml', import.meta.url),
)
const kubectl = (...args: string[]) => fleet.kubernetes.kubectl(args)
const apply = (...objects: object[]) =>
  fleet.kubernetes.kubectl(['apply', '--server-side', '-f', '-'], {
    stdin: objects.map(object => JSON.stringify(object)).join('\n---\n'),
  })

async function cli(kubeconfig: string, ...args: string[]) {
  const [command = '', ...rest] = args
  const reach = ['run', 'logs', 'history'].includes(command) ? ['--server', fleet.operatorUrl] : []
  const child = spawn(program, [command, ...rest, '--kubeconfig', kubeconfig, ...reach], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>(resolve => void child.on('close', resolve)),
  ])
  return { stdout, stderr, code }
}

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  api = connectKubernetes(fleet.kubernetes.adminKubeconfig)
  see = viewOf(api)
  await kubectl('create', 'namespace', NS)
  await kubectl('create', 'namespace', 'others')
  await fleet.kubernetes.kubectl(['apply', '-f', admission])
  await apply(
    policy(NS),
    policy('others'),
    cluster('ShellAgent', AGENT, { external: {} }),
    job('report', 'echo from the report; echo to stderr >&2'),
    job('secret', 'echo from the secret job'),
  )
  await giveRights()
  const slice = `/apis/discovery.k8s.io/v1/namespaces/shellcron/endpointslices/shellcron-operator-leader`
  ca = await eventually(
    'the leader is in its EndpointSlice',
    async () => {
      const { body } = await api.request({ path: slice })
      return (body as { metadata: { annotations?: Record<string, string> } }).metadata.annotations?.[
        'shellcron.dev/ca'
      ]
    },
    60_000,
  )
  await see.settled(() => see.job('report'), 'Ready')
})
afterAll(() => fleet.stop())

async function giveRights() {
  const { kubernetes } = fleet
  users = {
    reader: await kubernetes.kubeconfigFor('reader', ['ops-team']),
    narrow: await kubernetes.kubeconfigFor('narrow'),
    stranger: await kubernetes.kubeconfigFor('stranger'),
  }
  const create = (...args: string[]) => kubectl('create', ...args)
  await create('clusterrole', 'tickets', '--verb=create', '--resource=shelltickets.shellcron.dev')
  await create('clusterrolebinding', 'tickets', '--clusterrole=tickets', '--group=system:authenticated')
  const at = ['-n', 'shellcron']
  await create('role', 'user', ...at, '--verb=get', '--resource=endpointslices.discovery.k8s.io')
  await create('rolebinding', 'user', ...at, '--role=user', '--group=system:authenticated')
  const log = '--resource=shellcronjobs.shellcron.dev/log'
  const ns = ['-n', NS]
  await create('role', 'log', ...ns, '--verb=get', log)
  await create('rolebinding', 'log', ...ns, '--role=log', '--group=ops-team')
  const verbs = '--verb=create,get,list,watch'
  await create('role', 'run', ...ns, verbs, '--resource=shellruns.shellcron.dev')
  await create('rolebinding', 'run', ...ns, '--role=run', '--group=ops-team', '--user=narrow')
  await create('role', 'log-report', ...ns, '--verb=get', log, '--resource-name=report')
  await create('rolebinding', 'log-report', ...ns, '--role=log-report', '--user=narrow')
}

const ask401 = { status: 401 }
const call = (path: string, authorization: string, method = 'GET'): Promise<Said> =>
  ask(fleet.operatorUrl + path, { ca, method, headers: { authorization } })
const messageOf = ({ body }: Said) => (JSON.parse(body) as { message: string }).message
const NONCE = 'a nonce of the test'.replaceAll(' ', '-')
const ticket = (name: string, spec: object = {}) =>
  cluster('ShellTicket', name, {
    nonceHash: createHash('sha256').update(NONCE).digest('hex'),
    user: 'narrow',
    groups: ['system:authenticated'],
    ...spec,
  })
const create = (kubeconfig: string, object: object) =>
  fleet.kubernetes.tryKubectl(['create', '-f', '-'], { kubeconfig, stdin: JSON.stringify(object) })

async function sessionOf(kubeconfig: string, name: string): Promise<string> {
  const created = await create(kubeconfig, ticket(name))
  expect(created).toMatchObject({ code: 0 })
  const said = await call('/v1/sessions', `ShellTicket ${name}:${NONCE}`, 'POST')
  expect(said).toMatchObject({ status: 200 })
  return `Bearer ${(JSON.parse(said.body) as { token: string }).token}`
}

describe('kubectl shellcron', () => {
  test('run creates a ShellRun with the rights of the user, follows it and prints its output', async () => {
    const { stdout, stderr, code } = await cli(users.reader, 'run', `${NS}/report`, '--logs')
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Succeeded') as string,
    })
    expect(stdout).toContain('from the report\n')
    expect(stderr).toContain('to stderr\n')
  })

  test('run of a user who may not create ShellRuns is refused with the message of the API server', async () => {
    const { stderr, code } = await cli(users.stranger, 'run', 'report', '-n', NS, '--wait')
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/User "stranger" cannot create resource "shellruns"/) as string,
    })
  })

  test('run --wait has the exit code of the outcome, and --timeout ends the wait but not the run', async () => {
    await apply(job('fails', 'exit 3'), job('sleeps', 'sleep 600'))
    await see.settled(() => see.job('sleeps'), 'Ready')
    const failed = await cli(users.reader, 'run', 'fails', '-n', NS, '--wait')
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('Failed') as string })
    const late = await cli(users.reader, 'run', 'sleeps', '-n', NS, '--wait', '--timeout', '1s')
    expect(late).toMatchObject({ code: 124, stderr: expect.stringContaining('did not end') as string })
    await kubectl('delete', 'srun', '-n', NS, '--all', '--timeout=60s')
    await kubectl('delete', 'scj', 'fails', 'sleeps', '-n', NS, '--timeout=60s')
  })

  test('logs prints the latest output of a job, and of a ShellRun with the right on its job', async () => {
    await apply(run('once', { jobRef: { name: 'report' } }))
    await see.settled(() => see.run('once'), 'Complete')
    for (const user of [users.reader, users.narrow]) {
      expect(await cli(user, 'logs', '-f', 'report', '-n', NS)).toMatchObject({
        code: 0,
        stdout: 'from the report\n',
      })
      expect(await cli(user, 'logs', '-f', '--shell-run', `${NS}/once`)).toMatchObject({
        code: 0,
        stdout: 'from the report\n',
      })
    }
  })

  test('output of another job, of a ShellRun of its own template and of another namespace is refused, with the remedy', async () => {
    await apply(run('hidden', { jobRef: { name: 'secret' } }), run('own', { template: host('echo own') }))
    await see.settled(() => see.run('hidden'), 'Complete')
    await see.settled(() => see.run('own'), 'Complete')
    const refused = async (user: string, ...args: string[]) => {
      const { stdout, stderr, code } = await cli(user, ...args)
      expect({ stdout, code }).toEqual({ stdout: '', code: 2 })
      expect(stderr).toMatch(/may not read results and output .* kubectl create role shellcron-log/)
    }
    await refused(users.narrow, 'logs', `${NS}/secret`)
    await refused(users.narrow, 'logs', '--shell-run', `${NS}/hidden`)
    await refused(users.narrow, 'logs', '--shell-run', `${NS}/own`)
    await refused(users.narrow, 'history', '-n', NS)
    await refused(users.narrow, 'history', `${NS}/hidden`, '--shell-run')
    await refused(users.stranger, 'logs', `${NS}/report`)
    await refused(users.stranger, 'history', `${NS}/report`)
    await refused(users.reader, 'history', '-n', 'others')
    expect(await cli(users.reader, 'logs', '-f', '--shell-run', `${NS}/own`)).toMatchObject({
      stdout: 'own\n',
    })
  })

  test('history shows what the user may read: a namespace, a job, or all namespaces filtered', async () => {
    await apply(run('elsewhere', { template: host('true') }, 'others'))
    await see.settled(() => see.run('elsewhere', 'others'), 'Complete')
    const names = async (user: string, ...args: string[]) => {
      const { stdout, code, stderr } = await cli(user, 'history', '-o', 'json', '--limit', '100', ...args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const { rows } = JSON.parse(stdout) as { rows: { namespace: string; name: string; jobName?: string }[] }
      return rows
    }
    await eventually('results are stored', async () =>
      (await names(users.reader, '-n', NS)).some(({ name }) => name === 'own'),
    )
    const all = await names(users.reader, '-A')
    expect(new Set(all.map(({ namespace }) => namespace))).toEqual(new Set([NS]))
    expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining(['own', 'hidden', 'once']))
    expect((await names(users.narrow, `${NS}/report`)).every(({ jobName }) => jobName === 'report')).toBe(
      true,
    )
    expect((await names(users.narrow, '--shell-run', `${NS}/once`)).map(({ name }) => name)).toEqual(['once'])
    expect(await names(users.narrow, '-A').catch(() => [])).toEqual([])
  })

  test('agents lists the agents with the rights of the user, and says why one takes no runs', async () => {
    await kubectl('create', 'clusterrole', 'agents', '--verb=list', '--resource=shellagents.shellcron.dev')
    await kubectl('create', 'clusterrolebinding', 'agents', '--clusterrole=agents', '--user=reader')
    await apply(cluster('ShellAgent', 'never-joined', { external: {} }))
    await eventually('both have a status', async () => {
      const { stdout } = await cli(users.reader, 'agents')
      return (
        new RegExp(`^${AGENT} +default +True`, 'm').test(stdout) &&
        /^never-joined +default +(False|Unknown) .*\w+: \w+/m.test(stdout)
      )
    })
    expect(await cli(users.stranger, 'agents')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/cannot list resource "shellagents".*needs the right/) as string,
    })
  })

  test('an operator that is not there, and a context that is not there, are named with the remedy', async () => {
    expect(
      await cli(users.reader, 'history', '--operator-namespace', 'shellcron', '--operator-service', 'nobody'),
    ).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /no EndpointSlice nobody-leader|cannot get resource "endpointslices"/,
      ) as string,
    })
    expect(await cli(users.reader, 'history', '--context', 'nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no context "nowhere"') as string,
    })
  })
})

describe('a ShellTicket', () => {
  test('of a foreign user or group is refused by the admission policy', async () => {
    for (const spec of [
      { user: 'reader' },
      { user: 'admin', groups: ['system:masters'] },
      { groups: ['system:authenticated', 'ops-team'] },
      { groups: [] },
    ]) {
      const { code, stderr } = await create(users.narrow, ticket('forged', spec))
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /shelltickets.shellcron.dev.* denied request: spec\.(user|groups) must be/,
        ) as string,
      })
    }
  })

  test('is good for one session; the session reads what its user may read', async () => {
    const session = await sessionOf(users.narrow, 'once')
    const path = `/v1/outputs?namespace=${NS}&name=report`
    expect(await call(path, session)).toMatchObject({ status: 200 })
    expect(await call(`/v1/outputs?namespace=${NS}&name=secret`, session)).toMatchObject({ status: 403 })
    const again = await call('/v1/sessions', `ShellTicket once:${NONCE}`, 'POST')
    expect(again).toMatchObject(ask401)
    expect(messageOf(again)).toContain('was used before')
    const { body } = await api.request({ path: '/apis/shellcron.dev/v1alpha1/shelltickets' })
    expect((body as { items: unknown[] }).items).toEqual([])
  })

  test('used by two at once opens one session', async () => {
    expect(await create(users.narrow, ticket('twice'))).toMatchObject({ code: 0 })
    const both = await Promise.all(
      [1, 2, 3, 4].map(() => call('/v1/sessions', `ShellTicket twice:${NONCE}`, 'POST')),
    )
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('with the wrong nonce is refused, and still good for its user', async () => {
    expect(await create(users.narrow, ticket('guessed'))).toMatchObject({ code: 0 })
    const wrong = await call('/v1/sessions', 'ShellTicket guessed:wrong', 'POST')
    expect(wrong).toMatchObject(ask401)
    expect(messageOf(wrong)).toContain('nonce')
    expect(await call('/v1/sessions', `ShellTicket guessed:${NONCE}`, 'POST')).toMatchObject({ status: 200 })
  })

  test.each([
    ['annotations', { annotations: { note: 'x'.repeat(100_000) } }],
    ['labels', { labels: { a: 'b' } }],
    ['finalizers', { finalizers: ['example.com/keep'] }],
  ])('with %s is refused, as any user may create tickets', async (_, metadata) => {
    const object = ticket('burden')
    const answer = await create(users.narrow, { ...object, metadata: { name: 'burden', ...metadata } })
    expect(answer).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a ShellTicket has no labels, annotations') as string,
    })
  })

  test('with a finalizer, with which it could be used again, is refused', async () => {
    expect(await create(users.narrow, ticket('kept'))).toMatchObject({ code: 0 })
    const finalize = (finalizers: string[] | null) =>
      kubectl(
        'patch',
        'shelltickets.shellcron.dev',
        'kept',
        '--type=merge',
        '-p',
        JSON.stringify({ metadata: { finalizers } }),
      )
    await finalize(['example.com/keep'])
    const said = await call('/v1/sessions', `ShellTicket kept:${NONCE}`, 'POST')
    expect(said).toMatchObject(ask401)
    expect(messageOf(said)).toContain('finalizer')
    await finalize(null)
    await kubectl('delete', 'shelltickets.shellcron.dev', 'kept')
  })

  test('that is older than 60 s is refused', async () => {
    expect(await create(users.narrow, ticket('old'))).toMatchObject({ code: 0 })
    await systemClock.sleep(61_000)
    const said = await call('/v1/sessions', `ShellTicket old:${NONCE}`, 'POST')
    expect(said).toMatchObject(ask401)
    expect(messageOf(said)).toContain('s old by the operator')
  })
})

test('without a session, with a forged one or with an agent, nothing is read', async () => {
  const path = `/v1/history?namespace=${NS}`
  for (const authorization of ['', 'Bearer forged', 'Basic YTpi', `ShellTicket x:${NONCE}`]) {
    const said = await call(path, authorization)
    expect(said).toMatchObject(ask401)
    expect(messageOf(said)).toMatch(/ShellTicket/)
  }
  expect(await call('/v1/objects', '')).toMatchObject({ status: 404 })
  expect(await call('/v1/runs', '', 'POST')).toMatchObject({ status: 404 })
})

test('a right that is withdrawn ends within seconds, also in an open session', async () => {
  const session = await sessionOf(users.narrow, 'withdrawn')
  const path = `/v1/outputs?namespace=${NS}&name=report`
  expect(await call(path, session)).toMatchObject({ status: 200 })
  await kubectl('delete', 'rolebinding', 'log-report', '-n', NS)
  await eventually('it is refused', async () => (await call(path, session)).status === 403, 60_000)
})

test('an EndpointSlice that somebody deletes is written again', async () => {
  const path = '/apis/discovery.k8s.io/v1/namespaces/shellcron/endpointslices/shellcron-operator-leader'
  await api.request({ path, method: 'DELETE' })
  const seen = await eventually(
    'it is back',
    async () => {
      const { status, body } = await api.request({ path })
      return status === 200 ? (body as { endpoints: object[]; ports: object[] }) : undefined
    },
    60_000,
  )
  expect(seen.endpoints).toMatchObject([{ addresses: ['192.0.2.1'], targetRef: { name: 'operator-1' } }])
  expect(seen.ports).toEqual([
    { name: 'api', protocol: 'TCP', port: Number(new URL(fleet.operatorUrl).port) },
  ])
})

test('after a change of the leader the next command works', async () => {
  await fleet.operator('operator-2')
  fleet.operators[0]?.signal('SIGKILL')
  const slice = '/apis/discovery.k8s.io/v1/namespaces/shellcron/endpointslices/shellcron-operator-leader'
  await eventually(
    'the other operator is in the EndpointSlice',
    async () => JSON.stringify((await api.request({ path: slice })).body).includes('operator-2'),
    60_000,
  )
  // It has its own log store, which is empty.
  const seen = await cli(users.reader, 'history', '-n', NS)
  expect(seen).toEqual({ code: 0, stdout: '', stderr: 'no results found\n' })
})
