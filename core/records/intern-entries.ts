import { createInterner, internFields } from '../interner.ts'
import type { Entry, JobEntry } from './entry.ts'

/** Interns equal parts of entries: placement, user, shell. This is safe because entries are never changed in place. */
export type InternEntry = <T extends Entry>(entry: T) => T

export function createEntryInterner(): InternEntry {
  const intern = createInterner()
  return entry => {
    internFields<Entry>(intern, entry, ['pool', 'namespace', 'parameters'])
    if (entry.kind === 'job')
      internFields<JobEntry>(intern, entry, ['timeZone', 'daylightSaving', 'schedules'])
    internFields(intern, entry.command, [
      'labels',
      'placement',
      'host',
      'container',
      'shell',
      'env',
      'workingDir',
      'successExitCodes',
    ])
    return entry
  }
}
