import type { Times } from '../core/fires/settlement.ts'
import type { JobEntry } from '../core/records/entry.ts'
import { createTimetable, jitterMs } from '../core/timetable/timetable.ts'

/** An entry's scheduled times, and `offset`, the delay of each start, ms. */
export interface EntryTimes {
  times: Times
  offset: number
}

const cache = new WeakMap<JobEntry, EntryTimes>()

/** Computed once for each entry object. */
export function entryTimes(entry: JobEntry): EntryTimes {
  const computed = cache.get(entry)
  if (computed) return computed
  const hashKey = `${entry.namespace}/${entry.name}`
  const { schedules, timeZone, daylightSaving } = entry
  const scheduled = {
    times: createTimetable({ schedules, timeZone, daylightSaving, hashKey }),
    offset: jitterMs(hashKey, entry.jitterSeconds),
  }
  cache.set(entry, scheduled)
  return scheduled
}
