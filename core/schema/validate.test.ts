import { describe, expect, test } from 'vitest'
import { commanding, job, run } from '../../test/fixtures/objects/make.ts'
import { parseObject, type ShellCronJob, type ShellRun } from './objects.ts'
import { parametersOf } from './parameters.ts'
import { validateJob, validateRun } from './validate.ts'

const jobOf = (object: object) => parseObject(object) as ShellCronJob
const fields = (problems: { field: string }[]) => problems.map(({ field }) => field)
const declaring = (...parameters: object[]) => job({ parameters })

test('a ShellRun of a job whose script is too big is refused, and the script is named', () => {
  const big = jobOf(commanding({ script: '€'.repeat(60_000) }))
  const [problem] = validateRun(parseObject(run({ jobRef: { name: 'a' } })) as ShellRun, big)
  expect(problem).toMatchObject({ reason: 'InvalidTemplate', field: 'spec.jobRef.name' })
  expect(problem?.message).toMatch(
    /cannot run: spec\.template\.spec\.script: has 180000 bytes; at most 131071/,
  )
})

describe('validateJob finds what a schema cannot', () => {
  test.each<[string, object, string[]]>([
    ['a valid job', job(), []],
    ['an invalid schedule', job({ schedule: '61 * * * *' }), ['spec.schedule']],
    ['a schedule that never fires', job({ schedule: '0 0 30 2 *' }), ['spec.schedule']],
    [
      'an invalid schedule among several',
      job({ schedule: undefined, schedules: ['@daily', 'nope'] }),
      ['spec.schedules[1]'],
    ],
    [
      'an invalid schedule as a list of one',
      job({ schedule: undefined, schedules: ['nope'] }),
      ['spec.schedules[0]'],
    ],
    ['an unknown time zone', job({ timeZone: 'Mars/Olympus' }), ['spec.timeZone']],
    ['an invalid pattern', declaring({ name: 'A', pattern: '(' }), ['spec.parameters[0].pattern']],
    [
      'a pattern with lookahead, which RE2 does not have',
      declaring({ name: 'A', pattern: '(?=a)' }),
      ['spec.parameters[0].pattern'],
    ],
    [
      'a pattern that is too large',
      declaring({ name: 'A', pattern: '(x{1,30}){1,33}' }),
      ['spec.parameters[0].pattern'],
    ],
    [
      'a default that is not in enum',
      declaring({ name: 'A', default: 'x', enum: ['y'] }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default that is too long',
      declaring({ name: 'A', default: 'xy', maxLength: 1 }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default that does not match',
      declaring({ name: 'A' }, { name: 'B', default: 'x', pattern: '[0-9]+' }),
      ['spec.parameters[1].default'],
    ],
    [
      'a default that matches only in part',
      declaring({ name: 'A', default: '1; rm', pattern: '[0-9]+' }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default on two lines',
      declaring({ name: 'A', default: '1\n', pattern: '[0-9]+' }),
      ['spec.parameters[0].default'],
    ],
    ['an empty enum and pattern', declaring({ name: 'A', default: 'x', enum: [], pattern: '' }), []],
    [
      'a required parameter without a default',
      declaring({ name: 'A', required: true }),
      ['spec.parameters[0].default'],
    ],
    [
      'a required parameter without a default in a suspended job',
      job({ suspend: true, parameters: [{ name: 'A', required: true }] }),
      [],
    ],
    [
      'a script with the line ends of Windows',
      commanding({ script: 'echo a\r\necho b\r\n' }),
      ['spec.template.spec.script'],
    ],
    [
      'a script that is too long for an argument',
      commanding({ script: 'ü'.repeat(65_536) }),
      ['spec.template.spec.script'],
    ],
    [
      'variables that are too large for an entry',
      commanding({
        env: Array.from({ length: 20 }, (_, i) => ({ name: `A${i}`, value: 'x'.repeat(32_000) })),
      }),
      ['spec.template.spec.env'],
    ],
  ])('%s', (_, object, expected) => {
    expect(fields(validateJob(jobOf(object)))).toEqual(expected)
  })

  test('matching a pattern that backtracks in other engines ends at once', () => {
    const evil = declaring({ name: 'A', pattern: '(a+)+b', default: 'a'.repeat(4_096) })
    expect(fields(validateJob(jobOf(evil)))).toEqual(['spec.parameters[0].default'])
  })
})

describe('validateRun checks a ShellRun against its job', () => {
  const declared = jobOf(
    declaring(
      { name: 'DB', default: 'orders', enum: ['orders', 'users'] },
      { name: 'N', required: true, default: '1', pattern: '[0-9]+', maxLength: 3 },
    ),
  )
  const judged = (spec: object, of: ShellCronJob | undefined = declared) =>
    validateRun(parseObject(run({ jobRef: { name: 'judged' }, ...spec })) as ShellRun, of)
  const given = (name: string, value: string) => judged({ parameters: [{ name, value }] })

  test.each<[string, string, string[]]>([
    ['DB', 'users', []],
    ['DB', 'other', ['spec.parameters[0].value']],
    ['N', '12', []],
    ['N', '1; rm', ['spec.parameters[0].value']],
    ['N', '1234', ['spec.parameters[0].value']],
    ['XX', 'users', ['spec.parameters[0].name']],
  ])('%s=%s', (name, value, expected) => {
    expect(fields(given(name, value))).toEqual(expected)
  })

  test('the message for an undeclared parameter lists the declared ones', () => {
    expect(given('XX', '')).toEqual([
      {
        reason: 'InvalidParameters',
        field: 'spec.parameters[0].name',
        message: 'parameter "XX" is not declared by ShellCronJob judged; declared parameters: DB, N',
      },
    ])
  })

  test('a required parameter without a default must be given', () => {
    const of = jobOf(job({ suspend: true, parameters: [{ name: 'A', required: true }] }))
    expect(fields(judged({}, of))).toEqual(['spec.parameters'])
    expect(judged({ parameters: [{ name: 'A', value: '' }] }, of)).toEqual([])
  })

  test('a missing job is a problem of jobRef', () => {
    expect(validateRun(parseObject(run({ jobRef: { name: 'gone' } })) as ShellRun, undefined)).toMatchObject([
      { reason: 'JobNotFound', field: 'spec.jobRef.name' },
    ])
  })

  test.each<[object, string[], string[]]>([
    [{ mode: 'One' }, ['w1'], ['spec.targets']],
    [{ mode: 'Shards', shards: 3 }, ['0', '2'], []],
    [{ mode: 'Shards', shards: 3 }, ['0', '3', '01'], ['spec.targets[1]', 'spec.targets[2]']],
    [{ mode: 'All' }, ['w1'], []],
    [{ mode: 'All', agents: ['w1'] }, ['w1', 'w2'], ['spec.targets[1]']],
  ])('a job with target %o, a run with targets %o', (target, targets, expected) => {
    expect(fields(judged({ targets }, jobOf(commanding({ target }))))).toEqual(expected)
  })

  test('an inline template is checked like the template of a job', () => {
    const template = { spec: { host: {}, script: 'ü'.repeat(65_536) } }
    const own = parseObject(run({ template })) as ShellRun
    expect(fields(validateRun(own, undefined))).toEqual(['spec.template.spec.script'])
  })

  test('the values of the run override the defaults', () => {
    expect(parametersOf(declared.spec.parameters, [{ name: 'DB', value: 'users' }])).toEqual({
      DB: 'users',
      N: '1',
    })
  })
})
