import { expect, test } from 'vitest'
import type { ExitRecord } from '../launcher/messages.ts'
import { endFactsOf } from './end-facts.ts'

const record: ExitRecord = {
  id: 'a',
  session: '1',
  cause: { kind: 'exited', code: 0 },
  code: 0,
  signal: null,
  startedAt: 1,
  endedAt: 2,
  stdout: { bytes: 0, cut: 0 },
  stderr: { bytes: 0, cut: 0 },
  tail: '',
}

test('a result says which processes outlived the script, and what became of them', () => {
  expect(endFactsOf(record).message).toBeUndefined()
  const one = { count: 1, processes: ['sleep (7)'] }
  expect(endFactsOf({ ...record, leftovers: one }).message).toBe(
    '1 process outlived the script and was ended (leftovers: Kill): sleep (7)',
  )
  const many = { count: 12, processes: ['sleep (7)', 'sh (8)'], left: true }
  expect(endFactsOf({ ...record, leftovers: many, stdout: { bytes: 1, cut: 2 } }).message).toBe(
    '12 processes outlived the script and go on (leftovers: Leave): sleep (7), sh (8), …; ' +
      '2 bytes of stdout and 0 of stderr were cut by outputLimit',
  )
})

test('a result says that memory ran out or a process was refused, although the script succeeded', () => {
  expect(endFactsOf({ ...record, oom: false })).not.toHaveProperty('warnings')
  expect(endFactsOf({ ...record, oom: true, pidsRefused: true })).toMatchObject({
    message:
      'a process was killed because memory ran out; a process could not be started because of the limit of processes',
    warnings: ['OOMKilled', 'PidsLimit'],
  })
  expect(endFactsOf({ ...record, told: '{"oom":true}' }).warnings).toEqual(['OOMKilled'])
})
