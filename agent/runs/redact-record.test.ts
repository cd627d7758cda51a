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
const told = record({ told: JSON.stringify({ reason: 'ContainerGone', message: 'of hunter22' }) })

test('tail and messages say nothing of a Secret', () => {
  expect(redactRecord(record({ tail: 'pw hunter22' }), ['hunter22']).tail).toBe('pw ***')
  expect(redactRecord(failed, ['hunter22']).cause).toMatchObject({
    reason: 'NotFound',
    message: '/srv/*** is missing',
  })
  expect(endOf(redactRecord(told, ['hunter22']))).toMatchObject({
    reason: 'ContainerGone',
    message: 'of ***',
  })
})

test('where nobody knows the Secrets any more neither is shown, and the reason is', () => {
  for (const each of [failed, told, record({ tail: 'hunter22' })])
    expect(JSON.stringify(redactRecord(each, undefined))).not.toContain('hunter22')
  expect(redactRecord(failed, undefined).cause).toMatchObject({ reason: 'NotFound' })
  expect(endOf(redactRecord(told, undefined))).toMatchObject({ reason: 'ContainerGone' })
  expect(redactRecord(record({}), undefined).tail).toBe('')
})

test('a Secret that reads like a part of JSON does not hide what a helper tells', () => {
  const oom = record({ told: '{"oom":true}' })
  expect(endOf(redactRecord(oom, ['true', 'oom"']))).toMatchObject({ kind: 'exited', code: 137, oom: true })
})
