import type { Times } from '../core/fires/settlement.ts'
import type { JobEntry } from '../core/records/entry.ts'
import { createTimetable, jitterMs } from '../core/timetable/timetable.ts'

/** An entry's scheduled times and the delay of each start, ms. */
export interface EntryTimes {
  times: Times
  offset: number
}

const known = new WeakMap<JobEntry, EntryTimes>()

/** Worked out once for each entry that is held. */
export function entryTimes(entry: JobEntry): EntryTimes {
  const before = known.get(entry)
  if (before) return before
  const hashKey = `${entry.namespace}/${entry.name}`
  const { schedules, timeZone, daylightSaving } = entry
  const scheduled = {
    times: createTimetable({ schedules, timeZone, daylightSaving, hashKey }),
    offset: jitterMs(hashKey, entry.jitterSeconds),
  }
  known.set(entry, scheduled)
  return scheduled
}
