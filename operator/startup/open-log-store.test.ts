import { expect, test } from 'vitest'
import { logStoreOf } from './open-log-store.ts'

test('a log store is the file in the state directory, another file, or a database', () => {
  expect(logStoreOf(undefined, undefined)).toEqual({ kind: 'sqlite' })
  expect(logStoreOf('/data/log.db', undefined)).toEqual({ kind: 'sqlite', path: '/data/log.db' })
  const url = 'postgres://shellcron@db:5432/shellcron?sslmode=verify-full'
  expect(logStoreOf(url, '/run/password')).toEqual({ kind: 'postgres', url, passwordFile: '/run/password' })
})

test.each([
  ['postgres://a:secret@db/log', undefined, '--log-store', /must not hold a password/],
  ['postgres://a@db/log?password=secret', undefined, '--log-store', /must not hold a password/],
  ['mysql://a@db/log', undefined, '--log-store', /must be a file, or a URL like/],
  ['/data/log.db', '/run/password', '--log-store-password-file', /needs --log-store postgres/],
])('%s is refused', (given, passwordFile, field, message) => {
  const refused = expect.objectContaining({ field, message: expect.stringMatching(message) })
  expect(() => logStoreOf(given, passwordFile)).toThrow(refused)
})
