import { expect, test } from 'vitest'
import { expandReferences, type Value } from './expand-references.ts'

const known = new Map<string, Value>([
  ['A', { value: 'a', from: undefined }],
  ['P', { value: 'geheim', from: 'Secret' }],
  ['C', { value: 'config', from: 'ConfigMap' }],
  ['R', { value: '$(A)', from: undefined }],
])

// From the tests of k8s.io/kubernetes/third_party/forked/golang/expansion, and of our own.
test.each([
  ['$(A)', 'a'],
  ['x$(A)y$(A)', 'xaya'],
  ['$(NO)', '$(NO)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$a'],
  ['$$', '$'],
  ['5$', '5$'],
  ['$A ${A} $', '$A ${A} $'],
  ['$(A', '$(A'],
  ['$()', '$()'],
  ['$($(A))', '$($(A))'],
  ['$(A)$(NO)$$(A)', 'a$(NO)$(A)'],
  // A value is not expanded again.
  ['$(R)', '$(A)'],
])('%s becomes %s', (text, value) => {
  expect(expandReferences(text, known)).toEqual({ value, from: undefined })
})

test('a value that contains a Secret is secret', () => {
  expect(expandReferences('db://u:$(P)@$(C)', known)).toEqual({
    value: 'db://u:geheim@config',
    from: 'Secret',
  })
  expect(expandReferences('$(C)/$(A)', known)).toEqual({ value: 'config/a', from: 'ConfigMap' })
})

test('a value that grows beyond what a variable can hold is refused', () => {
  const long = new Map<string, Value>([['L', { value: 'x'.repeat(70_000), from: undefined }]])
  expect(expandReferences('$(L)', long)?.value).toHaveLength(70_000)
  expect(expandReferences('$(L)'.repeat(8_000), long)).toBeUndefined()
})
