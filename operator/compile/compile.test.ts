import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseObject, type ShellCronJob, type ShellPolicy, type ShellRun } from '../../core/schema/objects.ts'
import type { Lookup } from '../resources/port.ts'
import { type CompileInputs, compileJob } from './compile-job.ts'
import { compileRun } from './compile-run.ts'
import { environmentOf } from './env.ts'
import { sealValues } from './seal-values.ts'

const host = { user: 'nobody' }
const job = (spec: object = {}, template: object = {}, metadata: object = {}) =>
  parseObject({
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellCronJob',
    metadata: { name: 'a', namespace: 'ops', uid: 'u', generation: 3, ...metadata },
    spec: { schedule: '0 1 * * *', ...spec, template: { spec: { host, script: 'true', ...template } } },
  }) as ShellCronJob
const run = (spec: object) =>
  parseObject({
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellRun',
    metadata: { name: 'r', namespace: 'ops', uid: 'v', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec,
  }) as ShellRun

const inputs = (over: Partial<CompileInputs> = {}): CompileInputs & { olderJobs(): number } => ({
  policies: [],
  pools: new Set(['default', 'db']),
  lookedUp: () => ({ kind: 'absent' }),
  allowWithoutPolicy: true,
  epoch: 1,
  olderJobs: () => 0,
  ...over,
})
const policy = (limits: object): ShellPolicy =>
  ({ spec: { namespaces: ['*'], rules: [{ pools: ['*'], host: { users: ['*'] }, limits }] } }) as never
const found = (data: Record<string, string>): Lookup => ({ kind: 'found', data, notText: [] })
const fromSecret = { env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }

test('quantities become numbers, and defaults are filled in', () => {
  const resources = { cpu: '500m', memory: '256Mi', pids: 100 }
  const compiled = compileJob(job({}, { host: { ...host, resources }, outputLimit: '1Ki' }), inputs())
  expect(compiled).toMatchObject({
    kind: 'compiled',
    job: {
      entry: {
        generation: 3,
        schedules: ['0 1 * * *'],
        timeZone: 'UTC',
        catchUp: 'Latest',
        command: {
          host: { user: 'nobody', resources: { cpuMillis: 500, memoryBytes: 268_435_456, pids: 100 } },
          outputLimit: 1_024,
          shell: ['/bin/sh', '-c'],
        },
      },
    },
  })
})

test.each<
  [string, ShellCronJob, Partial<CompileInputs>, { reason: string; mendable: boolean; known: boolean }]
>([
  [
    'an impossible line',
    job({ schedule: '61 * * * *' }),
    {},
    { reason: 'InvalidSchedule', mendable: false, known: false },
  ],
  [
    'an unknown zone',
    job({ timeZone: 'Mars/Olympus' }),
    {},
    { reason: 'InvalidSchedule', mendable: false, known: false },
  ],
  [
    'a day that does not exist',
    job({ schedule: '0 0 30 2 *' }),
    {},
    { reason: 'InvalidSchedule', mendable: false, known: false },
  ],
  [
    'a required parameter without a default',
    job({ parameters: [{ name: 'A', required: true }] }),
    {},
    { reason: 'InvalidParameters', mendable: false, known: true },
  ],
  [
    'an unknown pool',
    job({}, { target: { pool: 'x' } }),
    {},
    { reason: 'PoolNotFound', mendable: true, known: true },
  ],
  [
    'a template that no policy allows',
    job(),
    { allowWithoutPolicy: false },
    { reason: 'PolicyRefused', mendable: true, known: true },
  ],
  ['a missing Secret', job({}, fromSecret), {}, { reason: 'SecretNotFound', mendable: true, known: true }],
  [
    'a Secret that the operator may not read',
    job({}, fromSecret),
    { lookedUp: () => ({ kind: 'forbidden', message: 'no' }) },
    { reason: 'SecretForbidden', mendable: true, known: true },
  ],
  [
    'a missing key',
    job({}, fromSecret),
    { lookedUp: () => found({}) },
    { reason: 'KeyNotFound', mendable: true, known: true },
  ],
  [
    'a value that is not text',
    job({}, fromSecret),
    { lookedUp: () => ({ kind: 'found', data: {}, notText: ['k'] }) },
    { reason: 'ValueNotText', mendable: true, known: true },
  ],
  [
    'a value that no process can get',
    job({}, fromSecret),
    { lookedUp: () => found({ k: 'x'.repeat(131_072) }) },
    { reason: 'ValueTooLarge', mendable: true, known: true },
  ],
  [
    'a short interval',
    job({ schedule: '* * * * *' }),
    { policies: [policy({ minIntervalSeconds: 90 })] },
    { reason: 'IntervalTooShort', mendable: true, known: true },
  ],
  [
    'a job above maxJobs',
    job(),
    { policies: [policy({ maxJobs: 0 })] },
    { reason: 'TooManyJobs', mendable: true, known: true },
  ],
])('%s blocks', (_, object, over, expected) => {
  const compiled = compileJob(object, inputs(over))
  if (compiled.kind !== 'blocked') throw new Error('it compiled')
  expect({ reason: compiled.reason, mendable: compiled.mendable, known: compiled.job !== undefined }).toEqual(
    expected,
  )
  expect(compiled.message).not.toBe('')
})

test('the entry says whether the command may gain privileges', () => {
  const commandOf = (may: boolean) =>
    compileJob(job({}, { host: { ...host, allowPrivilegeEscalation: may } }), inputs()).job?.entry.command
      .host
  expect(commandOf(true)).toEqual({ ...host, allowPrivilegeEscalation: true })
  expect(commandOf(false)).toEqual(host)
})

test('limits of processes are numbers in the entry', () => {
  const commandOf = (limits: object) =>
    compileJob(job({}, { host: { ...host, limits } }), inputs()).job?.entry.command.host
  expect(commandOf({ nofile: 4_096, core: '1Mi' })).toEqual({
    ...host,
    limits: { nofile: 4_096, core: 1_048_576 },
  })
  expect(commandOf({ core: 0 })).toEqual({ ...host, limits: { core: 0 } })
})

test('the first line of the script names the interpreter unless shell is set', () => {
  const commandOf = (template: object) => compileJob(job({}, template), inputs()).job?.entry.command
  const script = '#!/bin/bash -e\nfalse; true'
  expect(commandOf({ script })).toMatchObject({ interpreter: ['/bin/bash', '-e'], shell: ['/bin/sh', '-c'] })
  expect(commandOf({ script, shell: ['/bin/dash', '-c'] })).not.toHaveProperty('interpreter')
  expect(commandOf({ script: 'true' })).not.toHaveProperty('interpreter')
})

test('a script with the line ends of Windows is blocked, and the message has the remedy', () => {
  expect(compileJob(job({}, { script: 'echo a\r\n' }), inputs())).toMatchObject({
    reason: 'InvalidTemplate',
    message: expect.stringContaining('convert the line ends to LF'),
  })
})

test('the policy’s limit of concurrent runs is in the entry', () => {
  expect(
    compileJob(job(), inputs({ policies: [policy({ maxConcurrentRuns: 7 })] })).job?.entry.maxConcurrentRuns,
  ).toBe(7)
})

test('values from Secrets are never in the entry; later sources override earlier ones', () => {
  const template = {
    host,
    envFrom: [{ prefix: 'C_', configMapRef: { name: 'c' } }],
    env: [{ name: 'A', value: '1' }, { name: 'C_X', value: 'own' }, ...fromSecret.env],
  }
  const lookedUp = ({ kind }: { kind: string }) =>
    found(kind === 'Secret' ? { k: 'geheim' } : { X: 'x', Y: 'y', 'not-a-name': 'z' })
  expect(environmentOf(template as never, lookedUp)).toEqual({
    env: [
      { name: 'C_X', value: 'own' },
      { name: 'A', value: '1' },
    ],
    secret: { C_Y: 'y', P: 'geheim' },
    notSecret: ['C_Y'],
  })
})

test('a value that is too big is named, alone and among others', () => {
  const sized = (...sizes: number[]) => {
    const keys = sizes.map((_, i) => `k${i}`)
    const env = keys.map((key, i) => ({ name: `V${i}`, valueFrom: { secretKeyRef: { name: 's', key } } }))
    const data = Object.fromEntries(keys.map((key, i) => [key, 'x'.repeat(sizes[i] ?? 0)]))
    return environmentOf({ host, env } as never, () => found(data))
  }
  expect(sized(10, 131_068, 20)).toMatchObject({ secret: {} })
  expect(sized(10, 131_069, 20)).toMatchObject({
    reason: 'ValueTooLarge',
    message: expect.stringContaining('variable V1, from a Secret, has 131072 bytes') as string,
  })
  expect(sized(100_000, 120_000, 100_000)).toMatchObject({
    reason: 'SecretsTooLarge',
    message: expect.stringContaining('the largest is V1 with 120003 bytes') as string,
  })
})

test('references are resolved as in a Pod, and a value with a Secret in it is sealed', () => {
  const template = {
    host,
    envFrom: [{ prefix: 'C_', configMapRef: { name: 'c' } }],
    env: [
      { name: 'EARLY', value: '$(A)' },
      { name: 'A', value: 'a' },
      { name: 'B', value: '$(A)/$$(A)/$(C_X)' },
      { name: 'D', value: '$(A)!' },
      ...fromSecret.env,
      { name: 'URL', value: 'db://u:$(P)@h' },
    ],
  }
  const lookedUp = ({ kind }: { kind: string }) => found(kind === 'Secret' ? { k: 'geheim' } : { X: 'x' })
  expect(environmentOf(template as never, lookedUp)).toEqual({
    env: [
      { name: 'EARLY', value: '$(A)' },
      { name: 'A', value: 'a' },
      { name: 'D', value: 'a!' },
    ],
    secret: { C_X: 'x', B: 'a/$(A)/x', P: 'geheim', URL: 'db://u:geheim@h' },
    notSecret: ['B', 'C_X'],
  })
})

test('a value that its references make too long is blocked and named', () => {
  const env = [
    { name: 'L', value: 'x'.repeat(30_000) },
    { name: 'M', value: '$(L)'.repeat(8_000) },
  ]
  expect(compileJob(job({}, { env }), inputs())).toMatchObject({
    reason: 'ValueTooLarge',
    message: expect.stringContaining('env[1] (M)'),
  })
})

test('in host mode envFrom without a prefix is refused', () => {
  const template = { host, envFrom: [{ configMapRef: { name: 'c' } }] }
  expect(environmentOf(template as never, () => found({ LD_PRELOAD: 'x' }))).toMatchObject({
    reason: 'PrefixRequired',
  })
})

test('an optional reference may be absent', () => {
  const env = [{ name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k', optional: true } } }]
  expect(environmentOf({ host, env } as never, () => ({ kind: 'absent' }))).toEqual({ env: [], secret: {} })
})

test('values are sealed again only if they, their object or the key have changed', async () => {
  const key = (publicPem: string) => ({
    publicPem,
    privatePem: '',
    seal: (text: string) => `${publicPem}:${text}:${Math.random()}`,
  })
  const identity = (pem: string) => ({
    publicKey: generateKeyPairSync('ed25519').publicKey,
    sign: (text: string) => text,
    pool: () => Promise.resolve(key(pem)),
    digest: (text: string) => text,
  })
  const entry = { pool: 'default', namespace: 'ops', name: 'a', uid: 'u' }
  const first = await sealValues(entry, { A: '1', B: '2' }, { identity: identity('k1'), before: undefined })
  const seal = (over: object, secret: Record<string, string>, pem = 'k1') =>
    sealValues({ ...entry, ...over }, secret, { identity: identity(pem), before: first })
  expect(await seal({}, { B: '2', A: '1' })).toEqual(first)
  for (const other of [
    await seal({}, { A: '1' }),
    await seal({ uid: 'x' }, { A: '1', B: '2' }),
    await seal({}, { A: '1', B: '2' }, 'k2'),
  ])
    expect(other.sealed).not.toBe(first.sealed)
  expect(await seal({}, {})).toEqual({})
})

const runInputs = (job?: ShellCronJob) => ({ ...inputs(), job, members: () => ['w1', 'w2'] })

test('a ShellRun has the template of its job, its own parameters over the defaults, and a deadline of ten minutes', () => {
  const of = job(
    {
      parameters: [
        { name: 'DB', default: 'orders' },
        { name: 'X', default: 'y' },
      ],
    },
    {},
    { uid: 'j' },
  )
  const compiled = compileRun(
    run({ jobRef: { name: 'a' }, parameters: [{ name: 'DB', value: 'users' }] }),
    runInputs(of),
  )
  expect(compiled).toMatchObject({
    kind: 'compiled',
    run: { entry: { uid: 'v', jobRef: { name: 'a', uid: 'j' }, parameters: { DB: 'users', X: 'y' } } },
  })
  expect(compiled.run.entry.deadline - compiled.run.entry.createdAt).toBe(600_000)
})

test.each<[string, object, ShellCronJob | undefined, string]>([
  ['an absent job', { jobRef: { name: 'a' } }, undefined, 'JobNotFound'],
  [
    'an undeclared parameter',
    { jobRef: { name: 'a' }, parameters: [{ name: 'Z', value: '' }] },
    job(),
    'InvalidParameters',
  ],
  ['a target of mode One', { jobRef: { name: 'a' }, targets: ['w1'] }, job(), 'InvalidTargets'],
  [
    'an invalid shard',
    { jobRef: { name: 'a' }, targets: ['5'] },
    job({}, { target: { mode: 'Shards', shards: 3 } }),
    'InvalidTargets',
  ],
  [
    'an unknown agent',
    { jobRef: { name: 'a' }, targets: ['w9'] },
    job({}, { target: { mode: 'All' } }),
    'TargetNotFound',
  ],
])('a ShellRun with %s is blocked', (_, spec, of, reason) => {
  expect(compileRun(run(spec), runInputs(of))).toMatchObject({ kind: 'blocked', reason })
})

test('in mode All its targets are the present members, or those of them that it names', () => {
  const all = job({}, { target: { mode: 'All' } })
  const targets = (spec: object) =>
    compileRun(run({ jobRef: { name: 'a' }, ...spec }), runInputs(all)).run.entry.targets
  expect(targets({})).toEqual(['w1', 'w2'])
  expect(targets({ targets: ['w2'] })).toEqual(['w2'])
})
