import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { DEFINITIONS } from '../../../core/schema/definitions.ts'
import { GROUP, type Kind, parseObject, type ShellCronObject, VERSION } from '../../../core/schema/objects.ts'
import type { KubeApi } from '../../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { ACCEPTED } from '../../fixtures/objects/accepted.ts'
import { commanding, job, run } from '../../fixtures/objects/make.ts'
import { REFUSED } from '../../fixtures/objects/refused.ts'
import { applyCrds } from '../../servers/crds.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

/** The CRDs on a real API server, which must accept and refuse the same objects as core/schema. No operator runs here. */

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url))
const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
  // Those of GitOps controllers and Helm are of other kinds.
  .filter(name => name.endsWith('.yaml') && !name.startsWith('gitops/'))
  .sort()
const objectsOf = (file: string): ShellCronObject[] =>
  parseAllDocuments(readFileSync(EXAMPLES + file, 'utf8')).map(document => parseObject(document.toJS()))

let kubernetes: Kubernetes
let api: KubeApi
const kubectl = (...args: string[]) => kubernetes.kubectl(args)
const put = (object: object, ...args: string[]) =>
  kubernetes.tryKubectl([...args, '-f', '-'], { stdin: JSON.stringify(object) })

beforeAll(async () => {
  kubernetes = await startKubernetes()
  api = connectKubernetes(kubernetes.adminKubeconfig)
  await applyCrds(kubernetes)
  const namespaces = new Set(files.flatMap(objectsOf).flatMap(({ metadata }) => metadata.namespace ?? []))
  for (const name of namespaces) await kubectl('create', 'namespace', name)
})
afterAll(() => kubernetes?.stop())

/** The request of `kubectl create --dry-run=server`, without a process for each object. Nothing is created. */
async function judged(object: object): Promise<{ refusal?: string }> {
  const { kind, metadata } = object as { kind: Kind; metadata: { namespace?: string } }
  const within = metadata.namespace ? `/namespaces/${metadata.namespace}` : ''
  const { status, body } = await api.request({
    method: 'POST',
    path: `/apis/${GROUP}/${VERSION}${within}/${DEFINITIONS[kind].plural}?dryRun=All&fieldValidation=Strict`,
    body: object,
  })
  return status === 201 ? {} : { refusal: (body as { message: string }).message }
}

/** The parts of an object that applying it again must not change. */
async function standing(...of: string[]) {
  const { metadata, spec } = JSON.parse(
    await kubectl('get', ...of, '-o', 'json', '--show-managed-fields'),
  ) as { metadata: Record<string, unknown>; spec: unknown }
  const { generation, resourceVersion, managedFields } = metadata
  return { generation, resourceVersion, managedFields, spec }
}

describe('an example', () => {
  test.each(files)('%s is applied, and applied again without a change', async file => {
    const objects = objectsOf(file)
    const name = ({ kind, metadata }: ShellCronObject) => [
      `${kind}.shellcron.dev/${metadata.name}`,
      ...(metadata.namespace ? ['-n', metadata.namespace] : []),
    ]
    const apply = () => kubectl('apply', '--server-side', '-f', EXAMPLES + file)
    const look = () => Promise.all(objects.map(object => standing(...name(object))))
    await apply()
    const { length } = objects
    const before = await look()
    expect(before.map(({ generation }) => generation)).toEqual(Array.from({ length }, () => 1))
    // A server stores a new object without its default status, and adds that status at the next write of any field.
    await apply()
    const after = await look()
    expect(after).toEqual(before.map((one, i) => ({ ...one, resourceVersion: after[i]?.resourceVersion })))
    await apply()
    expect(await look()).toEqual(after)
  })

  test.each(files.flatMap(objectsOf))(
    '$metadata.name has the same defaults on the server and here',
    async of => {
      const { kind, metadata, spec } = of
      const namespace = metadata.namespace ? ['-n', metadata.namespace] : []
      const there = await kubectl('get', `${kind}.shellcron.dev`, metadata.name, ...namespace, '-o', 'json')
      expect((JSON.parse(there) as ShellCronObject).spec).toEqual(spec)
    },
  )
})

test('a second client-side apply changes nothing either', async () => {
  const apply = () => put(job({}, { name: 'client-side' }), 'apply')
  await apply()
  expect((await apply()).stdout).toContain('unchanged')
})

test('two appliers own their own parameters and variables', async () => {
  const object = (name: string) => ({
    ...job(
      {
        parameters: [{ name }],
        template: { spec: { host: {}, script: 'true', env: [{ name, value: 'x' }] } },
      },
      { name: 'shared' },
    ),
  })
  for (const name of ['A', 'B']) await put(object(name), 'apply', '--server-side', `--field-manager=${name}`)
  const names = '{.spec.parameters[*].name} {.spec.template.spec.env[*].name}'
  expect(await kubectl('get', 'scj', 'shared', '-o', `jsonpath=${names}`)).toBe('A B A B')
})

describe('the server refuses, with the name of the field', () => {
  test.concurrent.each(REFUSED)('$what: $field', async ({ object, field, says = '' }) => {
    const { refusal = '' } = await judged(object)
    expect(refusal).toContain(field)
    expect(refusal).toContain(says)
  })
})

test.concurrent.each(ACCEPTED)('the server accepts $what', async ({ object }) => {
  expect(await judged(object)).toEqual({})
})

test('a ShellRun cannot be edited', async () => {
  await put(run({ jobRef: { name: 'a' } }, { name: 'fixed' }), 'create')
  const { code, stderr } = await put(run({ jobRef: { name: 'b' } }, { name: 'fixed' }), 'apply')
  expect(code).toBe(1)
  expect(stderr).toContain('spec: Invalid value')
  expect(stderr).toContain('spec of a ShellRun cannot be changed; create another ShellRun')
  await kubectl('label', 'srun', 'fixed', 'metadata=may-be')
})

test('an object without a status does not count as ready', async () => {
  await put(job({}, { name: 'new' }), 'create')
  expect(await kubectl('get', 'scj', 'new', '-o', 'jsonpath={.status}')).toBe('{"observedGeneration":-1}')
  const wait = ['wait', '--for=condition=Ready', '--timeout=1s', 'scj', 'new']
  expect((await kubernetes.tryKubectl(wait)).code).toBe(1)
})

describe('kubectl get', () => {
  const head = (text: string) => (text.split('\n')[0] ?? '').trim().split(/\s{2,}/)

  test('scj shows when, whether and how it runs', async () => {
    await put(job({ timeZone: 'Asia/Shanghai' }, { name: 'shown' }), 'create')
    const status = {
      schedule: '0 1 * * *',
      activeCount: 2,
      lastScheduleTime: '2026-01-01T17:00:00Z',
      lastResult: 'Failed',
      nextScheduleTime: '2999-01-01T17:00:00Z',
      target: 'default/All',
      command: 'df -h',
    }
    await kubectl(
      'patch',
      'scj',
      'shown',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    )
    const columns = [
      'NAME',
      'SCHEDULE',
      'TIMEZONE',
      'SUSPEND',
      'READY',
      'TARGETS',
      'ACTIVE',
      'LAST SCHEDULE',
      'LAST RESULT',
      'NEXT',
      'AGE',
    ]
    const text = await kubectl('get', 'scj', 'shown')
    expect(head(text)).toEqual(columns)
    expect(text).toMatch(
      /shown +0 1 \* \* \* +Asia\/Shanghai +false +\S* +\S* +2 +\d+\w+ +Failed +2999-01-01T17:00:00Z +\d+s/,
    )
    const wide = await kubectl('get', 'scj', 'shown', '-o', 'wide')
    expect(head(wide)).toEqual([...columns, 'TARGET', 'COMMAND'])
    expect(wide).toMatch(/ default\/All +df -h\n/)
  })

  test.each([
    ['srun', ['NAME', 'JOB', 'PHASE', 'REASON', 'EXIT', 'STARTED', 'AGE', 'TARGET']],
    ['sag', ['NAME', 'POOL', 'READY', 'RUNNING', 'VERSION', 'AGE', 'CORDONED']],
    ['spol', ['NAME', 'NAMESPACES', 'READY', 'AGE']],
    ['shellpool', ['NAME', 'TTL', 'PAUSED', 'READY', 'AGE']],
    ['shellticket', ['NAME', 'USER', 'AGE']],
  ])('%s has its columns', async (name, columns) => {
    if (name === 'shellticket')
      await put({ ...ACCEPTED.find(({ what }) => what === 'a ticket')?.object }, 'create')
    if (name === 'srun') await put(run({ jobRef: { name: 'a' } }, { name: 'listed' }), 'create')
    expect(head(await kubectl('get', name, '-o', 'wide'))).toEqual(columns)
  })

  test('shellcron lists every kind', async () => {
    const kinds = await kubectl('api-resources', '--categories=shellcron', '-o', 'name')
    expect(kinds.trim().split('\n').sort()).toEqual(
      ['agents', 'cronjobs', 'policies', 'pools', 'runs', 'tickets'].map(
        name => `shell${name}.shellcron.dev`,
      ),
    )
  })
})

test('kubectl explain reads as documentation', async () => {
  // kubectl wraps lines.
  const explain = async (path: string) => (await kubectl('explain', path)).replaceAll(/\s+/g, ' ')
  const spec = await explain('shellcronjob.spec')
  for (const words of [
    'When the job runs, in cron syntax: "minute hour',
    'an IANA name such as Asia/Shanghai',
    'run late, after an outage',
  ])
    expect(spec).toContain(words)
  expect(await explain('scj.spec.template.spec.onDisconnect')).toContain('recorded as Lost')
  expect(await explain('srun.spec.targets')).toContain('names of agents in mode All')
})

test('a status with the longest texts is within its limits, and one beyond them is refused', async () => {
  await put(commanding({}), 'apply')
  const patch = (status: object) =>
    kubernetes.tryKubectl([
      'patch',
      'scj',
      'judged',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ])
  expect(await patch({ outputTail: 'ü'.repeat(1_024), command: 'x'.repeat(80) })).toMatchObject({ code: 0 })
  expect((await patch({ outputTail: 'x'.repeat(1_025) })).stderr).toContain('status.outputTail')
})
