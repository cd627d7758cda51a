import { expect, test } from 'vitest'
import type { JobEntry } from '../core/records/entry.ts'
import { entryTimes } from './entry-times.ts'

const entry = (name: string) =>
  ({
    namespace: 'ops',
    name,
    schedules: ['H H * * *'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    jitterSeconds: 60,
  }) as unknown as JobEntry

test('the times of an entry in use are computed once, and those of the others are forgotten, with the same result', () => {
  const [used, idle] = [entry('used'), entry('idle')]
  const [first, before] = [entryTimes(used), entryTimes(idle)]
  const next = before.times.next(0)
  for (let n = 0; n < 2_000; n++) {
    entryTimes(entry(`other-${n}`))
    expect(entryTimes(used)).toBe(first)
  }
  expect(entryTimes(idle)).not.toBe(before)
  expect(entryTimes(idle).times.next(0)).toBe(next)
  expect(entryTimes(idle).offset).toBe(before.offset)
})
