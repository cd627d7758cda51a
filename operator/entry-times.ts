import type { Times } from '../core/fires/settlement.ts'
import type { JobEntry } from '../core/records/entry.ts'
import { createTimetable, jitterMs } from '../core/timetable/timetable.ts'

/** An entry's scheduled times, and `offset`, the delay of each start, ms. */
export interface EntryTimes {
  times: Times
  offset: number
}

/** The timetables of ten thousand jobs would be megabytes, and one is compiled again in 20 µs. */
const MOST_KEPT = 500
/** A generation is forgotten when the next one is full. */
let current = new Map<JobEntry, EntryTimes>()
let previous = new Map<JobEntry, EntryTimes>()

/** Computed once for each entry object that is in use. */
export function entryTimes(entry: JobEntry): EntryTimes {
  const known = current.get(entry)
  if (known) return known
  if (current.size >= MOST_KEPT) {
    previous = current
    current = new Map()
  }
  const times = previous.get(entry) ?? computed(entry)
  current.set(entry, times)
  return times
}

function computed(entry: JobEntry): EntryTimes {
  const hashKey = `${entry.namespace}/${entry.name}`
  const { schedules, timeZone, daylightSaving } = entry
  return {
    times: createTimetable({ schedules, timeZone, daylightSaving, hashKey }),
    offset: jitterMs(hashKey, entry.jitterSeconds),
  }
}
