import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

test.each([
  ['500Mi', { days: 90, outputBytes: 500 * 2 ** 20 }],
  ['20Gi', { days: 90, outputBytes: 20 * 2 ** 30 }],
  ['0', { days: 90 }],
])('--retention-bytes %s is taken', (retentionBytes, retention) => {
  const settings = { endpoints: ['https://localhost:1'], directory: '/jobs', retentionBytes }
  expect(readConfig(settings, {}).retention).toEqual(retention)
})

test('by default ten times as many statuses are written to the etcd of a directory as to an API server', () => {
  const settings = { endpoints: ['https://localhost:1'] }
  expect(readConfig(settings, {}).statusWrites).toBe(20)
  expect(readConfig({ ...settings, directory: '/jobs' }, {}).statusWrites).toBe(200)
  expect(readConfig({ ...settings, directory: '/jobs', statusWrites: 5 }, {}).statusWrites).toBe(5)
})
