import { ANYWHERE } from '../../core/keys.ts'
import type { Result } from '../../core/records/state.ts'
import { type FireSummary, gravity, hadNoProcess } from '../../core/status/fire-summary.ts'
import { describeFire } from '../../core/status/run-entries.ts'

export interface End {
  succeeded: boolean
  message: string
}

/**
 * How a ShellRun ended, from its results in the log store, for a ShellRun whose object is gone. The message is the one that its status
 * had. undefined: no result yet, or another attempt follows.
 */
export function endIn(results: readonly Result[]): End | undefined {
  const finals = results.filter(({ final }) => final)
  const ended = new Set(finals.map(({ run }) => run))
  if (ended.size === 0 || results.some(({ run }) => !ended.has(run))) return undefined
  const gravest = finals.reduce((a, b) => (gravity(b.outcome) > gravity(a.outcome) ? b : a))
  const fire = {
    ...gravest,
    id: gravest.run,
    endedAt: Math.max(...finals.map(({ endedAt }) => endedAt)),
    targets: {
      succeeded: finals.filter(({ outcome }) => outcome === 'Succeeded').length,
      failed: finals.filter(({ outcome }) => outcome !== 'Succeeded' && !hadNoProcess(outcome)).length,
      missed: finals.filter(({ outcome }) => hadNoProcess(outcome)).length,
    },
    failedTargets: finals
      .filter(({ outcome, target }) => gravity(outcome) >= gravity('Missed') && target !== ANYWHERE)
      .map(({ target }) => target)
      .toSorted(),
  } as FireSummary
  return { succeeded: gravest.outcome === 'Succeeded', message: reasoned(describeFire(fire), gravest.reason) }
}

/** Adds the reason, if the message does not contain it. */
export function reasoned(message: string, reason: string | undefined): string {
  return reason && !message.includes(reason) ? `${message} (${reason})` : message
}
