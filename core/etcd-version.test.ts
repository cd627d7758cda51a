import { expect, test } from 'vitest'
import { isSafeEtcd } from './etcd-version.ts'

test.each([
  ['3.4.23', false],
  ['3.5.99', false],
  ['3.6.13', false],
  ['3.6.14', true],
  ['3.6.16', true],
  ['3.7.0', false],
  ['3.7.1', true],
  ['3.10.0', true],
  ['4.0.0', true],
  ['', false],
])('etcd %s is fit for production: %s', (version, isSafe) => {
  expect(isSafeEtcd(version)).toBe(isSafe)
})
