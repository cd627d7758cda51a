import { expect, test } from 'vitest'
import { secretsFromEnv, variablesOf } from './secret-from-env.ts'

test('keys of Secrets are variables of the environment', () => {
  const settings = ['ops/db/password=DB_PASSWORD', 'ops/db/user=USER', 'dev/db/password=DB_PASSWORD']
  const given = secretsFromEnv(settings, { DB_PASSWORD: 'x=y', USER: '' })
  expect(Object.fromEntries(given)).toEqual({
    'ops/db': { password: 'x=y', user: '' },
    'dev/db': { password: 'x=y' },
  })
  expect(variablesOf(settings)).toEqual(['DB_PASSWORD', 'USER', 'DB_PASSWORD'])
})

test.each([
  ['ops/db/password', 'is not NAMESPACE/NAME/KEY=VARIABLE'],
  ['db/password=P', 'is not NAMESPACE/NAME/KEY=VARIABLE'],
  ['ops/db/password=not-a-name', 'is not NAMESPACE/NAME/KEY=VARIABLE'],
  ['ops/db/password=UNSET', 'the environment has no UNSET'],
  ['ops/db/given=P', 'ops/db/given is given twice'],
])('%s stops the start', (setting, says) => {
  expect(() => secretsFromEnv(['ops/db/given=P', setting], { P: 'x' })).toThrow(says)
})
