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

function say(refused: typeof mendable | undefined, before?: { reason: string; since?: number }) {
  const resources = { event: (_ref: unknown, _uid: unknown, one: Occurrence) => void events.push(one) }
  const deps = { compileResults, resources, clock, log: silentLog } as unknown as Parameters<
    typeof recordCompileResult
  >[0]
  const { again } = recordCompileResult(deps, 'ShellCronJob', metadata, { refused, before })
  return { again, verdict: compileResults.get('ShellCronJob', of.namespace, of.name) }
}

test('what another object may mend is stalled after two minutes, and looked at again just then', async () => {
  expect(say(mendable)).toMatchObject({ again: { inMs: 120_000 }, verdict: { stalled: false, since: T0 } })
  await clock.goTo(T0 + 119_999)
  expect(say(mendable)).toMatchObject({ again: { inMs: 1 }, verdict: { stalled: false } })
  await clock.goTo(T0 + 120_000)
  expect(say(mendable)).toEqual({ again: undefined, verdict: expect.objectContaining({ stalled: true }) })
  expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    'Warning SecretNotFound',
    'Warning SecretNotFound',
  ])
})

test('a restart goes on counting from when the entry that stands was blocked', () => {
  expect(say(mendable, { reason: 'SecretNotFound', since: T0 - 60_000 })).toMatchObject({
    again: { inMs: 60_000 },
    verdict: { stalled: false, since: T0 - 60_000 },
  })
})

test('another reason counts anew', async () => {
  say(mendable)
  await clock.goTo(T0 + 100_000)
  const other = blocked('PolicyRefused', 'spec.template.spec.host: no ShellPolicy allows it', true)
  expect(say(other)).toMatchObject({ again: { inMs: 120_000 }, verdict: { since: T0 + 100_000 } })
})

test('what only an edit mends is stalled at once', () => {
  expect(say(final)).toEqual({ again: undefined, verdict: expect.objectContaining({ stalled: true }) })
})

test('mended, it is blocked no more, and nobody is warned', () => {
  say(mendable)
  expect(say(undefined).verdict).toMatchObject({ stalled: false, generation: 2 })
  expect(compileResults.blocked()).toEqual([])
  expect(events).toHaveLength(1)
})
