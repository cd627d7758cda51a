import { expect, test } from 'vitest'
import { jobEntrySchema } from '../core/records/entry.ts'
import { createFakeClock } from '../runtime/fake-clock.ts'
import { createPresence } from './presence.ts'

/** Without a helper no agent has a container. */
function nobody() {
  const clock = createFakeClock(1_000_000)
  const presence = createPresence({ helper: undefined, endpoints: [], podsOnly: false }, clock)
  const until = (what: string, from: number, rank = 0) =>
    presence.declinesUntil({ what, entry, from, rank, others: 2 })
  return { until, at: (time: number) => clock.goTo(time) }
}
const entry = jobEntrySchema.parse({
  kind: 'job',
  uid: 'u',
  generation: 1,
  pool: 'default',
  namespace: 'n',
  name: 'j',
  schedules: ['* * * * *'],
  timeZone: 'UTC',
  daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
  scheduleChangedAt: 0,
  command: {
    placement: {},
    container: { selector: {} },
    shell: ['sh', '-c'],
    script: 'true',
    outputLimit: 1,
  },
})

test('each time of a job that nobody has the container for is taken 4.5 s after it is due, however close they are', async () => {
  const { until, at } = nobody()
  const due = [1_000_000, 1_001_000, 1_002_000]
  expect(await until('job', 1_000_000)).toBe(1_004_500)
  for (const time of due) {
    await at(time + 4_499)
    expect(await until('job', time)).toBe(time + 4_500)
    await at(time + 4_500)
    expect(await until('job', time)).toBeUndefined()
  }
})

test('who comes late to a time leaves it to the others for as long, also after a pause', async () => {
  const { until, at } = nobody()
  expect(await until('late', 900_000)).toBe(1_004_500)
  await at(1_061_000)
  expect(await until('other', 1_061_000)).toBe(1_065_500)
  expect(await until('late', 1_061_000 - 5_000)).toBe(1_065_500)
})

test('who is not first in rank looks every second', async () => {
  expect(await nobody().until('job', 1_000_000, 1)).toBe(1_001_000)
})
