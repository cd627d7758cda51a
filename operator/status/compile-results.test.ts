import { beforeEach, expect, test } from 'vitest'
import { createFakeClock, type FakeClock } from '../../platform/fake-clock.ts'
import { silentLog } from '../../platform/log.ts'
import { blocked } from '../compile/blocked.ts'
import type { Occurrence } from '../resources/port.ts'
import { type CompileResults, createCompileResults, recordCompileResult } from './compile-results.ts'

const T0 = 1_000_000
const of = { namespace: 'ops', name: 'job' }
const metadata = { ...of, uid: 'u', generation: 2 }
const mendable = blocked('SecretNotFound', 'spec.template.spec.env[0]: Secret s does not exist', true)
const final = blocked('InvalidSchedule', 'spec.schedule: 61 is not a minute')

let clock: FakeClock
let compileResults: CompileResults
let events: Occurrence[]
beforeEach(() => {
  clock = createFakeClock(T0)
  compileResults = createCompileResults()
  events = []
})

function record(refused: typeof mendable | undefined, before?: { reason: string; since?: number }) {
  const resources = { event: (_ref: unknown, _uid: unknown, one: Occurrence) => void events.push(one) }
  const deps = { compileResults, resources, clock, log: silentLog } as unknown as Parameters<
    typeof recordCompileResult
  >[0]
  const { again } = recordCompileResult(deps, 'ShellCronJob', metadata, { refused, before })
  return { again, result: compileResults.get('ShellCronJob', of.namespace, of.name) }
}

test('a refusal that another object may fix is Stalled after two minutes, and compiled again then', async () => {
  expect(record(mendable)).toMatchObject({ again: { inMs: 120_000 }, result: { stalled: false, since: T0 } })
  await clock.goTo(T0 + 119_999)
  expect(record(mendable)).toMatchObject({ again: { inMs: 1 }, result: { stalled: false } })
  await clock.goTo(T0 + 120_000)
  expect(record(mendable)).toEqual({ again: undefined, result: expect.objectContaining({ stalled: true }) })
  expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    'Warning SecretNotFound',
    'Warning SecretNotFound',
  ])
})

test('a restart continues to count from when the stored entry was blocked', () => {
  expect(record(mendable, { reason: 'SecretNotFound', since: T0 - 60_000 })).toMatchObject({
    again: { inMs: 60_000 },
    result: { stalled: false, since: T0 - 60_000 },
  })
})

test('another reason starts the count again', async () => {
  record(mendable)
  await clock.goTo(T0 + 100_000)
  const other = blocked('PolicyRefused', 'spec.template.spec.host: no ShellPolicy allows it', true)
  expect(record(other)).toMatchObject({ again: { inMs: 120_000 }, result: { since: T0 + 100_000 } })
})

test('a refusal that only an edit can fix is Stalled at once', () => {
  expect(record(final)).toEqual({ again: undefined, result: expect.objectContaining({ stalled: true }) })
})

test('a fixed object is no longer blocked, and has no further Event', () => {
  record(mendable)
  expect(record(undefined).result).toMatchObject({ stalled: false, generation: 2 })
  expect(compileResults.blocked()).toEqual([])
  expect(events).toHaveLength(1)
})
