import { expect, test } from 'vitest'
import type { ExitRecord } from '../launcher/messages.ts'
import { endOf } from './container-command.ts'
import { redactRecord } from './redact-record.ts'

const none = { bytes: 0, cut: 0 }
const record = (over: Partial<ExitRecord>): ExitRecord => ({
  id: 'r',
  session: '1',
  startedAt: 1,
  endedAt: 2,
  cause: { kind: 'exited', code: 137 },
  code: 137,
  signal: null,
  stdout: none,
  stderr: none,
  tail: '',
  ...over,
})
const failed = record({
  cause: { kind: 'startFailed', reason: 'NotFound', message: '/srv/hunter22 is missing' },
})
const reported = record({ told: JSON.stringify({ reason: 'ContainerGone', message: 'of hunter22' }) })

test('Secrets are redacted in the tail and in messages', () => {
  expect(redactRecord(record({ tail: 'pw hunter22' }), ['hunter22']).tail).toBe('pw ***')
  expect(redactRecord(failed, ['hunter22']).cause).toMatchObject({
    reason: 'NotFound',
    message: '/srv/*** is missing',
  })
  expect(endOf(redactRecord(reported, ['hunter22']))).toMatchObject({
    reason: 'ContainerGone',
    message: 'of ***',
  })
})

test('if the Secrets are not known any more, the tail and the messages are withheld, and the reason is kept', () => {
  for (const each of [failed, reported, record({ tail: 'hunter22' })])
    expect(JSON.stringify(redactRecord(each, undefined))).not.toContain('hunter22')
  expect(redactRecord(failed, undefined).cause).toMatchObject({ reason: 'NotFound' })
  expect(endOf(redactRecord(reported, undefined))).toMatchObject({ reason: 'ContainerGone' })
  expect(redactRecord(record({}), undefined).tail).toBe('')
})

test('a Secret that looks like JSON syntax does not damage the report of the helper', () => {
  const oom = record({ told: '{"oom":true}' })
  expect(endOf(redactRecord(oom, ['true', 'oom"']))).toMatchObject({ kind: 'exited', code: 137, oom: true })
})
