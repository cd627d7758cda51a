import { Alarms } from '../../../platform/alarms.ts'
import type { Clock } from '../../../platform/clock.ts'

/** How long the answer to a write may arrive after the watch has shown the write, ms. */
const ANSWER_MS = 2_000

/**
 * Finds statuses that somebody else wrote: the watch shows a version of an object that differs in nothing that the operator reads, and that
 * no answer to a write of the operator named. Another write of a field that the operator ignores is found too, which does no harm: the
 * status is then written again, and the server makes no new version of an equal object.
 */
export interface ForeignStatuses {
  /** The operator's write of a status made this version. */
  wrote(key: string, version: string): void
  /** The watch shows a version that differs in nothing that the operator reads. */
  seen(key: string, version: string): void
  forget(key: string): void
}

export function createForeignStatuses(clock: Clock, onForeign: (key: string) => void): ForeignStatuses {
  const written = new Map<string, string>()
  const latest = new Map<string, string>()
  const judge = (key: string) => {
    const version = latest.get(key)
    latest.delete(key)
    if (version !== undefined && written.get(key) !== version) onForeign(key)
  }
  const alarms = new Alarms(clock, { time: 'monotonic', onDue: keys => keys.forEach(judge) })
  return {
    wrote: (key, version) => void written.set(key, version),
    seen(key, version) {
      latest.set(key, version)
      if (alarms.at(key) === undefined) alarms.set(key, alarms.now() + ANSWER_MS)
    },
    forget(key) {
      written.delete(key)
      latest.delete(key)
      alarms.clear(key)
    },
  }
}
