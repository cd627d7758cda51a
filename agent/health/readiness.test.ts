import { expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import type { Beacon, Trouble } from '../../core/records/state.ts'
import { createFakeClock } from '../../platform/fake-clock.ts'
import type { Mirror } from '../../store/mirror.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { World } from '../pool/world.ts'
import { createReadiness } from './readiness.ts'

const keys = createKeys('/t/')

/** A mirror that a test fills. */
function fakeMirror<T>(): Mirror<T> & { put(key: string, value: T): void } {
  const known = new Map<string, Versioned<T>>()
  const listeners: Parameters<Mirror<T>['onChange']>[0][] = []
  return {
    get: key => known.get(key),
    entries: () => known.values(),
    get size() {
      return known.size
    },
    onChange: listener => void listeners.push(listener),
    put(key, value) {
      const now = { key, mod: 1, value }
      for (const listener of listeners) listener(key, now, known.get(key))
      known.set(key, now)
    },
  }
}

function setUp(running = 0, trouble?: Trouble, lacksPoolKey = false) {
  const clock = createFakeClock(1_000_000)
  const pools = fakeMirror<{ ttlSeconds: number; paused: boolean; draining: boolean; sealKey: string }>()
  const members = fakeMirror<{
    labels: object
    cordoned: boolean
    maxConcurrentRuns?: number
    enrolledAt: number
  }>()
  const beacon = fakeMirror<Beacon>()
  const world = { pools, members, beacon } as unknown as World
  const readiness = createReadiness(
    { world, keys, clock, pool: 'p', agent: 'a' },
    {
      running: () => running,
      troubles: new Set(trouble ? [trouble] : []),
      lacksPoolKey: () => lacksPoolKey,
    },
  )
  const member = (over: object = {}) =>
    members.put(keys.member('p', 'a'), { labels: {}, cordoned: false, enrolledAt: 0, ...over })
  const beat = (epoch: number, n: number, time = clock.now()) => beacon.put(keys.beacon, { epoch, n, time })
  return { readiness, pools, member, beat, clock }
}

test('an agent that is not enrolled, or is cordoned, claims nothing', () => {
  const { readiness, member } = setUp()
  expect(readiness.refusal()).toBe('NotEnrolled')
  member()
  expect(readiness.refusal()).toBeUndefined()
  member({ cordoned: true })
  expect(readiness.refusal()).toBe('Cordoned')
})

test.each<Trouble>(['LauncherSilent', 'EtcdFull'])('an agent in trouble claims nothing: %s', trouble => {
  const { readiness, member } = setUp(0, trouble)
  member()
  expect([readiness.refusal(), readiness.trouble()]).toEqual([trouble, trouble])
})

test('an agent that waits for the new key of its pool claims nothing', () => {
  const { readiness, member } = setUp(0, undefined, true)
  member()
  expect([readiness.refusal(), readiness.trouble()]).toEqual(['PoolKeyOld', undefined])
})

test('nothing is claimed in a paused pool, and nothing above maxConcurrentRuns', () => {
  const { readiness, member, pools } = setUp(2)
  member({ maxConcurrentRuns: 3 })
  expect(readiness.refusal()).toBeUndefined()
  member({ maxConcurrentRuns: 2 })
  expect([readiness.refusal(), readiness.trouble()]).toEqual(['AtCapacity', undefined])
  pools.put(keys.pool('p'), { ttlSeconds: 30, paused: true, draining: false, sealKey: '' })
  expect(readiness.refusal()).toBe('PoolPaused')
})

test('a clock is skewed if three beacons in a row say so, because one may arrive late', () => {
  const { readiness, member, beat, clock } = setUp()
  member()
  beat(1, 1, clock.now() - 60_000)
  beat(1, 2, clock.now() - 60_000)
  expect(readiness.refusal()).toBeUndefined()
  beat(1, 3, clock.now() - 60_000)
  expect(readiness.refusal()).toBe('ClockSkewed')
  beat(1, 4)
  expect(readiness.refusal()).toBeUndefined()
})

test('a beacon that goes backwards means a restored snapshot, until a new epoch begins', () => {
  const { readiness, member, beat } = setUp()
  member()
  beat(1, 10)
  beat(1, 4)
  expect(readiness.refusal()).toBe('RestoredSnapshot')
  beat(1, 5)
  expect(readiness.refusal()).toBe('RestoredSnapshot')
  beat(11, 11)
  expect(readiness.refusal()).toBeUndefined()
  beat(1, 6)
  expect(readiness.refusal()).toBe('RestoredSnapshot')
})
