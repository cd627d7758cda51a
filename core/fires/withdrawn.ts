import { clockEpochIn } from '../keys.ts'
import type { Entry } from '../records/entry.ts'
import { CLOCK_SET_BACK } from './clock-epoch.ts'

/**
 * The edits by suspension after which the job goes on with its runs. They are the reasons that the operator writes into `editing`
 * (operator/jobs/plan.ts).
 */
const GOES_ON: readonly string[] = ['Rescheduled', 'Retargeted']

/**
 * Why an attempt of this object, pending or claimed, may not start under its entry as it is now; undefined: it may. For an edit of the
 * schedule or of the targets the operator suspends the job for a moment. Its attempts outlive that, and start with the new template.
 * An attempt of an earlier clock epoch was claimed under a clock that was ahead: its time comes again. ShellRuns cannot be suspended.
 */
export function withdrawnBy(
  entry: Entry | undefined,
  { uid, run }: { uid: string; run: string },
): string | undefined {
  if (!entry || entry.uid !== uid) return 'Deleted'
  if (entry.kind !== 'job') return undefined
  if (clockEpochIn(run) < entry.clockEpoch) return CLOCK_SET_BACK
  const edit = entry.suspended ? entry.editing?.settle : undefined
  if (edit !== undefined && !GOES_ON.includes(edit)) return edit
  if (entry.blocked) return entry.blocked.reason
  return entry.suspended && edit === undefined ? 'Suspended' : undefined
}
