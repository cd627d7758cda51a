import { describe, expect, test } from 'vitest'
import { ACCEPTED } from '../../test/fixtures/objects/accepted.ts'
import { commanding, job } from '../../test/fixtures/objects/make.ts'
import { REFUSED } from '../../test/fixtures/objects/refused.ts'
import { InvalidObject, parseObject } from './objects.ts'
import type { Problem } from './problem-messages.ts'

/** test/integration/resources/schema.test.ts checks the same tables with a real API server. */
function problems(input: unknown): readonly Problem[] {
  try {
    parseObject(input)
    return []
  } catch (error) {
    if (error instanceof InvalidObject) return error.problems
    throw error
  }
}
const messagesOf = (input: unknown) => problems(input).map(({ field, message }) => `${field}: ${message}`)

describe('an invalid object is refused with the name of the field', () => {
  test.each(REFUSED)('$what: $field', ({ object, field, says = '' }) => {
    const found = problems(object)
    expect(found.length).toBeGreaterThan(0)
    expect(
      found.filter(problem => problem.field.startsWith(field) && problem.message.includes(says)),
    ).not.toEqual([])
  })
})

test.each(ACCEPTED)('$what is accepted', ({ object }) => {
  expect(problems(object)).toEqual([])
})

test('a problem names the field, the value and the remedy', () => {
  expect(messagesOf(job({ jitterSeconds: -1 }))).toEqual(['spec.jitterSeconds: -1: must be at least 0'])
  expect(messagesOf(job({ jitterSeconds: '30' }))).toEqual([
    'spec.jitterSeconds: "30": must be a whole number, without quotes',
  ])
  expect(messagesOf(job({ concurrencyPolicy: 'No' }))).toEqual([
    'spec.concurrencyPolicy: "No": must be one of Allow, Forbid, Replace',
  ])
  expect(messagesOf(job({ schedul: 1, timezone: 'UTC', xyz: 1 }))).toEqual([
    'spec.schedul: is not a known field; did you mean schedule?',
    'spec.timezone: is not a known field; did you mean timeZone?',
    'spec.xyz: is not a known field; check its spelling and its indentation',
  ])
  expect(messagesOf(commanding({ script: undefined }))).toEqual([
    'spec.template.spec.script: is required; set it',
  ])
  expect(messagesOf(commanding({ script: '' }))).toEqual([
    'spec.template.spec.script: "": must have at least 1 character',
  ])
  expect(messagesOf(commanding({ env: [{ name: 'A', value: 8080 }] }))).toEqual([
    'spec.template.spec.env[0].value: 8080: must be a string; write "8080", with quotes',
  ])
  expect(messagesOf(commanding({ env: { A: 'b' } }))).toEqual(['spec.template.spec.env: must be a list'])
  expect(messagesOf(commanding({ host: 'root' }))).toEqual([
    'spec.template.spec.host: "root": must be a map of fields, such as { name: value }',
  ])
  expect(messagesOf(commanding({ host: { resources: { memory: 'much' } } }))).toEqual([
    'spec.template.spec.host.resources.memory: "much": must be a quantity: a number with an optional unit, such as 500m, 2, 256Mi or 1Gi',
  ])
  expect(messagesOf(commanding({ target: { selector: { matchLabels: { 'a b': 'c' } } } }))).toEqual([
    'spec.template.spec.target.selector.matchLabels[a b]: "a b": must be a label name, such as role or example.org/role',
  ])
})

test('several problems are reported at once', () => {
  expect(problems(job({ jitterSeconds: -1, catchUp: 'Some', x: 1 })).map(({ field }) => field)).toEqual([
    'spec.jitterSeconds',
    'spec.catchUp',
    'spec.x',
  ])
})

test.each([
  [null, '', 'must be an object'],
  [[], '', 'must be an object'],
  [{ kind: 'ShellCronJob' }, 'apiVersion', 'shellcron.dev/v1alpha1'],
  [{ ...job(), kind: 'CronJob' }, 'kind', 'ShellCronJob'],
  [{ ...job(), kind: 'toString' }, 'kind', 'ShellCronJob'],
  [{ ...job(), spec: undefined }, 'spec', 'is required'],
  [{ ...job(), metadata: undefined }, 'metadata', 'is required'],
  [job({}, { name: 'A' }), 'metadata.name', 'lower-case'],
  [job({}, { labels: { 'a b': 'c' } }), 'metadata.labels[a b]', 'a label name'],
])('an input without the head of an object is refused: %o', (input, field, message) => {
  expect(problems(input)).toEqual([{ field, message: expect.stringContaining(message) as string }])
})
