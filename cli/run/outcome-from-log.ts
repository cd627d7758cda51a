import { ANYWHERE } from '../../core/keys.ts'
import type { Result } from '../../core/records/state.ts'
import { type FireSummary, gravity, hadNoProcess } from '../../core/status/fire-summary.ts'
import { sentenceOn } from '../../core/status/run-entries.ts'

export interface End {
  succeeded: boolean
  message: string
}

/**
 * How a ShellRun ended whose object is gone, from its results as the log store has them: as its status would say it. undefined: nothing has
 * ended, or an attempt is to follow.
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
  return { succeeded: gravest.outcome === 'Succeeded', message: reasoned(sentenceOn(fire), gravest.reason) }
}

/** The reason too, where the sentence does not say it. */
export function reasoned(message: string, reason: string | undefined): string {
  return reason && !message.includes(reason) ? `${message} (${reason})` : message
}
