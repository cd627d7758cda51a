import { describe, expect, test } from 'vitest'
import { crdOf } from './crd.ts'
import {
  InvalidObject,
  KINDS,
  type Kind,
  parseObject,
  parseStored,
  type ShellCronJob,
  type ShellRun,
} from './objects.ts'
import { parametersOf, validateJob, validateRun } from './validate.ts'
import { bytesOf, millisOf } from './values.ts'

const job = (spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind: 'ShellCronJob',
  metadata: { name: 'disk', namespace: 'ops', ...metadata },
  spec: { schedule: '0 1 * * *', template: { spec: { host: {}, script: 'df' } }, ...spec },
})
const template = (spec: object) => job({ template: { spec: { host: {}, script: 'df', ...spec } } })
const run = (spec: object) => ({
  apiVersion: 'shellcron.dev/v1alpha1',
  kind: 'ShellRun',
  metadata: { name: 'now', namespace: 'ops' },
  spec,
})

function problems(input: unknown): string[] {
  try {
    parseObject(input)
    return []
  } catch (error) {
    if (error instanceof InvalidObject)
      return error.problems.map(({ field, message }) => `${field}: ${message}`)
    throw error
  }
}

test('an object gets the defaults of its kind', () => {
  const { spec } = parseObject(job()) as ShellCronJob
  expect(spec).toMatchObject({
    timeZone: 'UTC',
    catchUp: 'Latest',
    catchUpLimit: 100,
    concurrencyPolicy: 'Allow',
    suspend: false,
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    template: {
      spec: {
        target: { pool: 'default', mode: 'One' },
        shell: ['/bin/sh', '-c'],
        workingDir: '/',
        successExitCodes: [0],
        terminationGracePeriodSeconds: 10,
        backoffLimit: 0,
        outputLimit: '10Mi',
      },
    },
  })
})

describe('what is wrong is named by its field', () => {
  test.each([
    [{ kind: 'x' }, 'apiVersion'],
    [{ apiVersion: 'shellcron.dev/v1alpha1', kind: 'CronJob' }, 'kind'],
    [job({}, { name: 'a.b' }), 'metadata.name'],
    [job({}, { name: 'a'.repeat(53) }), 'metadata.name'],
    [job({ schedul: '* * * * *' }), 'spec.schedul'],
    [job({ schedules: ['@daily'] }), 'spec.schedule'],
    [job({ schedule: undefined }), 'spec.schedule'],
    [job({ jitterSeconds: -1 }), 'spec.jitterSeconds'],
    [job({ concurrencyPolicy: 'Sometimes' }), 'spec.concurrencyPolicy'],
    [job({ template: { spec: { script: 'df' } } }), 'spec.template.spec.host'],
    [template({ container: { selector: {} } }), 'spec.template.spec.host'],
    [template({ script: undefined }), 'spec.template.spec.script'],
    [template({ scrpit: 'x' }), 'spec.template.spec.scrpit'],
    [template({ envFrom: [{ secretRef: { name: 's' } }] }), 'spec.template.spec.envFrom'],
    [template({ env: [{ name: '1A', value: 'x' }] }), 'spec.template.spec.env[0].name'],
    [
      template({ env: [{ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
      'spec.template.spec.env[0]',
    ],
    [template({ target: { mode: 'Shards' } }), 'spec.template.spec.target.shards'],
    [template({ target: { maxParallel: '25%' } }), 'spec.template.spec.target.maxParallel'],
    [template({ onDisconnect: 'Continue' }), 'spec.template.spec.onDisconnect'],
    [template({ terminationGracePeriodSeconds: -3 }), 'spec.template.spec.terminationGracePeriodSeconds'],
    [template({ workingDir: 'tmp' }), 'spec.template.spec.workingDir'],
    [run({ jobRef: { name: 'a' }, template: { spec: { host: {}, script: 'df' } } }), 'spec.jobRef'],
    [run({ template: { spec: { host: {}, script: 'df' } }, parameters: [] }), 'spec.parameters'],
  ])('%#: %o', (input, field) => {
    expect(problems(input).map(text => text.split(': ')[0])).toContain(field)
  })
  test('a message shows the value', () => {
    expect(problems(job({ jitterSeconds: -1 }))[0]).toContain('-1')
  })
})

test('an admitted object may have fields of a newer version', () => {
  const stored = parseStored(
    job({ someday: 1, template: { spec: { host: { later: true }, script: 'df' } } }),
  ) as ShellCronJob
  expect(stored.spec.template.spec.host).toEqual({})
})

describe('what only code can judge', () => {
  const judged = (spec: object) =>
    validateJob(parseObject(job(spec)) as ShellCronJob).map(({ field }) => field)
  test('a cron line, a zone, a pattern, a default', () => {
    expect(judged({})).toEqual([])
    expect(judged({ schedule: '61 * * * *' })).toEqual(['spec.schedule'])
    expect(judged({ schedule: undefined, schedules: ['@daily', 'nope'] })).toEqual(['spec.schedules[1]'])
    expect(judged({ timeZone: 'Mars/Olympus' })).toEqual(['spec.timeZone'])
    expect(judged({ parameters: [{ name: 'A', pattern: '(' }] })).toEqual(['spec.parameters[0].pattern'])
    expect(judged({ parameters: [{ name: 'A', default: 'x', enum: ['y'] }] })).toEqual([
      'spec.parameters[0].default',
    ])
  })
  test('parameters of a ShellRun', () => {
    const declared = parseObject(
      job({
        parameters: [
          { name: 'DB', default: 'orders', enum: ['orders', 'users'] },
          { name: 'N', required: true, default: '1', pattern: '[0-9]+' },
        ],
      }),
    ) as ShellCronJob
    const fields = (parameters: object[]) =>
      validateRun(parseObject(run({ jobRef: { name: 'disk' }, parameters })) as ShellRun, declared).map(
        ({ field }) => field,
      )
    expect(fields([{ name: 'DB', value: 'users' }])).toEqual([])
    expect(fields([{ name: 'DB', value: 'other' }])).toEqual(['spec.parameters[0].value'])
    expect(fields([{ name: 'XX', value: 'users' }])).toEqual(['spec.parameters[0].name'])
    expect(fields([{ name: 'N', value: '1; rm' }])).toEqual(['spec.parameters[0].value'])
    expect(parametersOf(declared.spec.parameters, [{ name: 'DB', value: 'users' }])).toEqual({
      DB: 'users',
      N: '1',
    })
  })
})

test('quantities', () => {
  expect(bytesOf('10Mi')).toBe(10_485_760)
  expect(bytesOf(512)).toBe(512)
  expect(millisOf('500m')).toBe(500)
  expect(millisOf(2)).toBe(2_000)
})

test('every kind has a CRD well below the size that an API server takes', () => {
  for (const kind of Object.keys(KINDS) as Kind[])
    expect(JSON.stringify(crdOf(kind)).length).toBeLessThan(256_000)
})
