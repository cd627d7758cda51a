import { ANYWHERE, scheduledRunId, shellRunId } from '../../core/keys.ts'
import { classOf, type FireSummary } from '../../core/status/fire-summary.ts'
import { number, optional, outcomeOf, type Row, rangeOf, text } from './result-rows.ts'

/** A fire's summary, from a row with its aggregate and its decisive result. `targetsOf`: the targets that failed. */
export function summaryOf(row: Row, uid: string, targetsOf: (time: number) => string[]): FireSummary {
  const time = number(row.time) ?? 0
  const outcome = outcomeOf(row)
  const of = { namespace: text(row.namespace) ?? '', name: text(row.name) ?? '', target: ANYWHERE }
  return {
    time,
    id: row.kind === 'run' ? shellRunId({ ...of, uid }) : scheduledRunId(of, time),
    outcome,
    ...optional('startedAt', number(row.started_at)),
    endedAt: number(row.ended_at) ?? 0,
    ...optional('exitCode', number(row.exit_code)),
    ...optional('signal', text(row.signal)),
    ...optional('reason', text(row.reason)),
    ...optional('message', text(row.message)),
    ...optional('tail', text(row.tail)),
    targets: {
      succeeded: number(row.succeeded) ?? 0,
      failed: number(row.failed) ?? 0,
      missed: number(row.missed) ?? 0,
    },
    failedTargets: classOf(outcome) === 'failed' ? targetsOf(time) : [],
    ...rangeOf(row),
  }
}
