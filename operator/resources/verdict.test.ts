import { expect, test } from 'vitest'
import { isVerdict } from './verdict.ts'

const reconciling = (status: string) => [{ type: 'Reconciling', status }]

test.each([
  ['no status', undefined, false],
  ['the default of the CRD', { observedGeneration: -1 }, false],
  ['a status of an earlier generation', { observedGeneration: 1, conditions: reconciling('False') }, false],
  ['a job that is compiled', { observedGeneration: 2, conditions: reconciling('False') }, true],
  ['a job that another object may fix', { observedGeneration: 2, conditions: reconciling('True') }, false],
  [
    'a ShellRun that runs',
    { observedGeneration: 2, phase: 'Running', conditions: reconciling('True') },
    true,
  ],
  ['a kind without Reconciling', { observedGeneration: 2, conditions: [] }, true],
])('%s', (_, status, expected) => {
  expect(isVerdict(status, 2)).toBe(expected)
})
