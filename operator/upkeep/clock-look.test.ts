import { expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Mirror } from '../../store/mirror.ts'
import { createClockLook } from './clock-look.ts'

const keys = createKeys()
const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000

function mirrorOf<T>(values: Map<string, T>): Mirror<T> {
  return {
    get: key => entryOf(key, values.get(key)),
    entries: () => [...values].map(([key, value]) => ({ key, mod: 1, value })),
    size: values.size,
    onChange: () => undefined,
  }
}
function entryOf<T>(key: string, value: T | undefined) {
  return value === undefined ? undefined : { key, mod: 1, value }
}

function looking() {
  const cells = new Map<string, Cell>()
  const jobs = new Map<string, JobEntry>()
  const clock = { at: NOW, now: () => clock.at, monotonic: () => 0, sleep: () => Promise.resolve() }
  const look = createClockLook({ keys, clock, mirrors: { jobs: mirrorOf(jobs), cells: mirrorOf(cells) } })
  const found = () => {
    const all: string[] = []
    look.look(key => all.push(key))
    return all
  }
  const putCell = (name: string, lastFire: number, { target = '-', kind = 'job' as 'job' | 'run' } = {}) =>
    cells.set(keys.cell({ pool: 'p', kind, namespace: 'ops', name, target }), {
      uid: 'u',
      lastFire,
      active: [],
    })
  const putJob = (name: string, over: object) =>
    jobs.set(name, { namespace: 'ops', name, scheduleChangedAt: 0, ...over } as JobEntry)
  return { look, clock, found, putCell, putJob }
}

test('a job is found in the third look in a row that sees a cell ahead', () => {
  const { look, clock, found, putCell } = looking()
  putCell('a', NOW + 48 * HOUR)
  putCell('b', NOW)
  expect([found(), found()]).toEqual([[], []])
  expect(look.wasAhead({ namespace: 'ops', name: 'a' })).toBe(false)
  expect(found()).toEqual(['ops/a'])
  expect(look.wasAhead({ namespace: 'ops', name: 'a' })).toBe(true)
  clock.at = NOW + 48 * HOUR
  expect(found()).toEqual([])
  expect(look.wasAhead({ namespace: 'ops', name: 'a' })).toBe(false)
  clock.at = NOW
  expect([found(), found(), found()]).toEqual([[], [], ['ops/a']])
})

test('an entry counts as a cell does; a claim ahead of its time, a ShellRun and a wave do not', () => {
  const { found, putCell, putJob } = looking()
  putJob('edited', { scheduleChangedAt: NOW + HOUR })
  putJob('editing', { editing: { at: NOW + HOUR } })
  putJob('right', { scheduleChangedAt: NOW })
  putCell('burst', NOW + 7_000)
  putCell('run', NOW + HOUR, { kind: 'run' })
  putCell('wave', NOW + HOUR, { target: '@wave' })
  found()
  found()
  expect(found()).toEqual(['ops/edited', 'ops/editing'])
})

test('a look at the cells of ten thousand jobs takes little time', () => {
  const { found, putCell, putJob } = looking()
  for (let n = 0; n < 10_000; n++) {
    putCell(`j${n}`, NOW)
    putJob(`j${n}`, {})
  }
  const start = performance.now()
  for (let n = 0; n < 100; n++) found()
  expect((performance.now() - start) / 100).toBeLessThan(50)
})
