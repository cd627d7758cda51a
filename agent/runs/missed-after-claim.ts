import { closedAfterClaim, DEADLINE_EXCEEDED } from '../../core/fires/catch-up.ts'
import type { Entry, JobEntry } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'
import type { End } from '../../core/runs/outcome.ts'
import { createTimetable } from '../../core/timetable/timetable.ts'
import { guards } from '../model-guards.ts'

/**
 * Rule LATE of docs/protocol.md: judges a claimed time again before it is armed. The claim may have been committed late, or this agent may
 * have been away since. A retry is not judged: it continues a run that started in time. undefined: it may start.
 */
export function missedAfterClaim(
  entry: Entry,
  active: Active,
  now: number,
): Extract<End, { kind: 'missed' }> | undefined {
  if (active.attempt > 1 || now < active.notBefore || !guards.judgesBeforeArming()) return undefined
  const reason = entry.kind === 'job' ? whyJobClosed(entry, active, now) : whyRunClosed(entry, active, now)
  if (reason === undefined) return undefined
  const seconds = Math.round((now - active.notBefore) / 100) / 10
  return {
    kind: 'missed',
    reason,
    message: `it was claimed, but could start only ${seconds} s late`,
  }
}

function whyJobClosed(entry: JobEntry, { time, notBefore, waited }: Active, now: number): string | undefined {
  const times = createTimetable({ ...entry, hashKey: `${entry.namespace}/${entry.name}` })
  const offset = notBefore - time
  return closedAfterClaim({ entry, times, offset, now }, { time, waited: waited === true })
}

/** A ShellRun that waited for a slot of its wave may start after its deadline. */
function whyRunClosed(
  { deadline }: Extract<Entry, { kind: 'run' }>,
  { waited }: Active,
  now: number,
): string | undefined {
  return now > deadline && !waited ? DEADLINE_EXCEEDED : undefined
}
