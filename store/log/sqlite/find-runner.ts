import type { DatabaseSync } from 'node:sqlite'
import { scheduledIn } from '../../../core/keys.ts'
import type { AttemptRef, Runner } from '../port.ts'
import { runnerIn } from '../result-rows.ts'

/**
 * Finds the agent that ran an attempt. The index has the time before the run: a job's run id contains it. A ShellRun's id does not, but a
 * ShellRun has one time only.
 */
export function createRunnerLookup(db: DatabaseSync): (of: AttemptRef) => Runner | undefined {
  const statement = (time: string) =>
    db.prepare(
      `SELECT pool, agent FROM results INDEXED BY results_uid WHERE uid = ? ${time} AND run = ? AND attempt = ? LIMIT 1`,
    )
  const scheduled = statement('AND time = ?')
  const once = statement('')
  return ({ uid, run, attempt }) => {
    const time = scheduledIn(run)
    return runnerIn(time === undefined ? once.get(uid, run, attempt) : scheduled.get(uid, time, run, attempt))
  }
}
