import { beforeEach, expect, test } from 'vitest'
import { Unavailable } from '../platform/errors.ts'
import { createFakeClock, type FakeClock } from '../platform/fake-clock.ts'
import { silentLog } from '../platform/log.ts'
import { createFirstComparison } from './first-comparison.ts'

const awaited = { pool: 'default', agent: 'here', since: 5_000 }
const end = new AbortController().signal
let clock: FakeClock
let registration: { startedAt: number; trouble?: object } | undefined
let reconciled: string[]
let opened: number

beforeEach(() => {
  clock = createFakeClock()
  registration = undefined
  reconciled = []
  opened = 0
})

function comparison(jobs: string[], agent?: typeof awaited) {
  const entries = jobs.map(name => ({ value: { namespace: 'ops', name } }))
  const none = { entries: () => [] }
  const mirrors = {
    jobs: { entries: () => entries },
    runs: none,
    agents: { get: () => registration && { value: registration } },
  }
  const deps = { mirrors: mirrors as never, keys: { agent: () => 'key' }, clock, log: silentLog }
  const first = createFirstComparison(deps, { awaited: agent, open: () => void opened++ })
  const watched = first.watch('jobs', async key => {
    if (key === 'ops/later' && reconciled.push(key) === 1) throw new Unavailable('etcd is away')
    reconciled.push(key)
    return undefined
  })
  return { first, reconcile: (key: string) => watched(key, end) }
}

test('it is done when each stored entry has been reconciled once; a fault that passes does not count', async () => {
  const { first, reconcile } = comparison(['later'])
  await expect(reconcile('ops/later')).rejects.toThrow('etcd is away')
  await reconcile('ops/new')
  expect(first.isDone()).toBe(false)
  await reconcile('ops/later')
  expect(first.isDone()).toBe(true)
})

test('without a stored entry it is done at once, and without an awaited agent nothing is held back', async () => {
  const { first, reconcile } = comparison([])
  expect(first.isDone()).toBe(true)
  await reconcile('ops/new')
  expect(reconciled).toEqual(['ops/new'])
})

test('a new job is held back until the agent is Ready in a process that has started since', async () => {
  const { first, reconcile } = comparison(['old'], awaited)
  registration = { startedAt: 4_000 }
  const running = first.run(end)
  await reconcile('ops/new')
  await reconcile('ops/old')
  expect(reconciled).toEqual(['ops/old'])
  await clock.goTo(1_000)
  expect(opened).toBe(0)
  registration = { startedAt: 6_000, trouble: {} }
  await clock.goTo(2_000)
  expect(opened).toBe(0)
  registration = { startedAt: 6_000 }
  await clock.goTo(3_000)
  await running
  expect(opened).toBe(1)
  await reconcile('ops/new')
  expect(reconciled).toEqual(['ops/old', 'ops/new'])
})

test('an agent that does not come is waited for one minute', async () => {
  const { first } = comparison([], awaited)
  const running = first.run(end)
  await clock.goTo(59_000)
  expect(opened).toBe(0)
  await clock.goTo(61_000)
  await running
  expect(opened).toBe(1)
})
