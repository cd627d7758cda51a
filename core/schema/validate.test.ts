import { describe, expect, test } from 'vitest'
import { commanding, job, run } from '../../test/fixtures/objects.ts'
import { parseObject, type ShellCronJob, type ShellRun } from './objects.ts'
import { parametersOf } from './parameters.ts'
import { validateJob, validateRun } from './validate.ts'

const jobOf = (object: object) => parseObject(object) as ShellCronJob
const fields = (problems: { field: string }[]) => problems.map(({ field }) => field)
const declaring = (...parameters: object[]) => job({ parameters })

describe('a job is judged by code', () => {
  test.each<[string, object, string[]]>([
    ['nothing is wrong', job(), []],
    ['a line that is none', job({ schedule: '61 * * * *' }), ['spec.schedule']],
    ['a day that never comes', job({ schedule: '0 0 30 2 *' }), ['spec.schedule']],
    [
      'one line of several',
      job({ schedule: undefined, schedules: ['@daily', 'nope'] }),
      ['spec.schedules[1]'],
    ],
    ['one line, as a list', job({ schedule: undefined, schedules: ['nope'] }), ['spec.schedules[0]']],
    ['a zone that is none', job({ timeZone: 'Mars/Olympus' }), ['spec.timeZone']],
    ['a pattern that is none', declaring({ name: 'A', pattern: '(' }), ['spec.parameters[0].pattern']],
    [
      'a pattern that only Perl has',
      declaring({ name: 'A', pattern: '(?=a)' }),
      ['spec.parameters[0].pattern'],
    ],
    [
      'a pattern that is too much work',
      declaring({ name: 'A', pattern: '(x{1,30}){1,33}' }),
      ['spec.parameters[0].pattern'],
    ],
    [
      'a default outside enum',
      declaring({ name: 'A', default: 'x', enum: ['y'] }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default too long',
      declaring({ name: 'A', default: 'xy', maxLength: 1 }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default that does not match',
      declaring({ name: 'A' }, { name: 'B', default: 'x', pattern: '[0-9]+' }),
      ['spec.parameters[1].default'],
    ],
    [
      'a default of which only a part matches',
      declaring({ name: 'A', default: '1; rm', pattern: '[0-9]+' }),
      ['spec.parameters[0].default'],
    ],
    [
      'a default on two lines',
      declaring({ name: 'A', default: '1\n', pattern: '[0-9]+' }),
      ['spec.parameters[0].default'],
    ],
    ['an empty enum and pattern', declaring({ name: 'A', default: 'x', enum: [], pattern: '' }), []],
    ['required without a default', declaring({ name: 'A', required: true }), ['spec.parameters[0].default']],
    [
      'required without a default, of a job that only ShellRuns run',
      job({ suspend: true, parameters: [{ name: 'A', required: true }] }),
      [],
    ],
    [
      'a script longer than an argument',
      commanding({ script: 'ü'.repeat(65_536) }),
      ['spec.template.spec.script'],
    ],
    [
      'more variables than an entry holds',
      commanding({
        env: Array.from({ length: 20 }, (_, i) => ({ name: `A${i}`, value: 'x'.repeat(32_000) })),
      }),
      ['spec.template.spec.env'],
    ],
  ])('%s', (_, object, expected) => {
    expect(fields(validateJob(jobOf(object)))).toEqual(expected)
  })

  test('a pattern cannot stop who judges it', () => {
    const evil = declaring({ name: 'A', pattern: '(a+)+b', default: 'a'.repeat(4_096) })
    expect(fields(validateJob(jobOf(evil)))).toEqual(['spec.parameters[0].default'])
  })
})

describe('a ShellRun is judged by its job', () => {
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

  test('what is required and has no default must be given', () => {
    const of = jobOf(job({ suspend: true, parameters: [{ name: 'A', required: true }] }))
    expect(fields(judged({}, of))).toEqual(['spec.parameters'])
    expect(judged({ parameters: [{ name: 'A', value: '' }] }, of)).toEqual([])
  })

  test('a job that is not there', () => {
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
  ])('of target %o the targets %o', (target, targets, expected) => {
    expect(fields(judged({ targets }, jobOf(commanding({ target }))))).toEqual(expected)
  })

  test('an inline template is judged as a job’s', () => {
    const template = { spec: { host: {}, script: 'ü'.repeat(65_536) } }
    const own = parseObject(run({ template })) as ShellRun
    expect(fields(validateRun(own, undefined))).toEqual(['spec.template.spec.script'])
  })

  test('its values go before the defaults', () => {
    expect(parametersOf(declared.spec.parameters, [{ name: 'DB', value: 'users' }])).toEqual({
      DB: 'users',
      N: '1',
    })
  })
})
