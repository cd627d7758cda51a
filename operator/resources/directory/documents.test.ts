import { expect, test, vi } from 'vitest'
import * as schema from '../../../core/schema/documents.ts'
import { readFileText } from './documents.ts'

const job = (name: string, script = 'true') =>
  `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name}, namespace: ops }
spec:
  schedule: "0 1 * * *"
  template: { spec: { host: {}, script: "${script}" } }
`
const file = (...documents: string[]) => `# jobs\n---\n${documents.join('---\n')}`
const read = (text: string, before?: ReturnType<typeof readFileText>) => readFileText('a.yaml', text, before)

test('a file that is read by document has the objects and lines of the whole text', () => {
  const { objects, problems } = read(file(job('a'), 'kind: ConfigMap\n', job('b')))
  expect(problems).toEqual([])
  expect(objects.map(({ key, line }) => [key, line])).toEqual([
    ['ShellCronJob/ops/a', 3],
    ['ShellCronJob/ops/b', 12],
  ])
})

test('only documents that have changed are parsed again', () => {
  const before = read(file(job('a'), job('b'), job('c')))
  const parse = vi.spyOn(schema, 'parseDocuments')
  const { objects } = read(file(job('new'), job('a'), job('b', 'false'), job('c')), before)
  expect(parse.mock.calls.map(([text]) => /name: (\w+)/.exec(text)?.[1])).toEqual([undefined, 'new', 'b'])
  parse.mockRestore()
  expect(objects).toEqual(read(file(job('new'), job('a'), job('b', 'false'), job('c'))).objects)
})

test('a problem is reported with its line in the file, and other documents keep their objects', () => {
  const before = read(file(job('a'), job('b')))
  const { objects, problems } = read(file(job('a'), job('b').replace('schedule', 'scheduel')), before)
  expect(problems).toContainEqual(expect.objectContaining({ field: 'spec.scheduel', line: 14 }))
  expect(objects.map(({ key }) => key)).toEqual(['ShellCronJob/ops/a'])
})

test('after a syntax error no object of the file is used', () => {
  const before = read(file(job('a'), job('b')))
  const { objects, problems } = read(file(job('a'), `${job('b')}  - [`), before)
  expect([objects, problems.length > 0]).toEqual([[], true])
})

test('a document without apiVersion and kind is a problem beside others', () => {
  expect(read(file(job('a'), 'spec: {}\n')).problems).toMatchObject([{ line: 10 }])
})

test.each(['%YAML 1.2\n', '...\n'])('a text with %j is read as a whole', mark => {
  const text = mark.startsWith('%') ? `${mark}---\n${job('a')}` : `${job('a')}${mark}`
  expect(read(text).objects.map(({ key }) => key)).toEqual(['ShellCronJob/ops/a'])
})
