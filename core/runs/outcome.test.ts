import { expect, test } from 'vitest'
import { backoffMs, retries, verdictOf, withMessage } from './outcome.ts'

const command = { successExitCodes: [0, 3] }

test('exit codes are judged by successExitCodes', () => {
  expect(verdictOf({ kind: 'exited', code: 3 }, command)).toMatchObject({
    outcome: 'Succeeded',
    exitCode: 3,
  })
  expect(verdictOf({ kind: 'exited', code: 1 }, command)).toMatchObject({
    outcome: 'Failed',
    reason: 'NonZeroExitCode',
  })
  expect(verdictOf({ kind: 'exited', code: 127 }, command)).toMatchObject({ reason: 'CommandNotFound' })
})

test('a message beside an exit code is kept, also for a success', () => {
  const end = { kind: 'exited', code: 0, message: 'output may be missing' } as const
  expect(verdictOf(end, command)).toMatchObject({ outcome: 'Succeeded', message: 'output may be missing' })
  expect(verdictOf({ ...end, code: 1 }, command)).toMatchObject({ outcome: 'Failed', message: end.message })
})

test('every other cause of an end has its own outcome and reason', () => {
  expect(verdictOf({ kind: 'signaled', signal: 'SIGKILL', oom: true }, command)).toMatchObject({
    outcome: 'Failed',
    reason: 'OOMKilled',
    signal: 'SIGKILL',
  })
  // A shell exits with 137 if its last child was killed. A script that survives the kill has succeeded.
  expect(verdictOf({ kind: 'exited', code: 137, oom: true }, command)).toMatchObject({
    reason: 'OOMKilled',
    exitCode: 137,
  })
  expect(verdictOf({ kind: 'exited', code: 0, oom: true }, command).outcome).toBe('Succeeded')
  expect(verdictOf({ kind: 'signaled', signal: 'SIGSEGV' }, command)).toMatchObject({
    outcome: 'Failed',
    signal: 'SIGSEGV',
  })
  expect(verdictOf({ kind: 'timedOut' }, command).outcome).toBe('TimedOut')
  expect(verdictOf({ kind: 'killed', reason: 'Replaced' }, command)).toMatchObject({
    outcome: 'Killed',
    reason: 'Replaced',
  })
  expect(verdictOf({ kind: 'fenced' }, command)).toMatchObject({ outcome: 'Lost', reason: 'Fenced' })
  expect(verdictOf({ kind: 'cancelled' }, command).outcome).toBe('Cancelled')
})

test('a killed or cancelled run is never retried, a lost one is', () => {
  expect(retries('Killed', 1, 5)).toBe(false)
  expect(retries('Cancelled', 1, 5)).toBe(false)
  expect(retries('Lost', 1, 1)).toBe(true)
  expect(retries('Lost', 2, 1)).toBe(false)
  expect(retries('Lost', 1, 0)).toBe(false)
})

test('backoff doubles from 10 s to 6 min', () => {
  expect([1, 2, 3, 6, 7, 40].map(backoffMs)).toEqual([10_000, 20_000, 40_000, 320_000, 360_000, 360_000])
})

test('an appended message keeps the message before it', () => {
  const silent = verdictOf({ kind: 'timedOut' }, command)
  const failed = verdictOf({ kind: 'failed', reason: 'ContainerGone', message: 'it went' }, command)
  expect(withMessage(silent, undefined)).not.toHaveProperty('message')
  expect(withMessage(silent, '9 bytes were cut').message).toBe('9 bytes were cut')
  expect(withMessage(failed, undefined).message).toBe('it went')
  expect(withMessage(failed, '9 bytes were cut').message).toBe('it went; 9 bytes were cut')
})
