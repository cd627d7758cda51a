import { ANYWHERE, scheduledRunId, shellRunId } from '../../core/keys.ts'
import { classOf, type FireSummary } from '../../core/status/fire-summary.ts'
import { number, optional, outcomeOf, type Row, rangeOf, text } from './result-rows.ts'

/** Orders rows of fires, the oldest first. A fire of an earlier clock epoch is older; no row is older than any. */
export function compareFires(a: Row | undefined, b: Row | undefined): number {
  const of = (row: Row | undefined, column: string) => number(row?.[column]) ?? -1
  return of(a, 'clock_epoch') - of(b, 'clock_epoch') || of(a, 'time') - of(b, 'time')
}

/** A fire's summary, from a row with its aggregate and its decisive result. `targetsOf`: the targets that failed. */
export function summaryOf(
  row: Row,
  uid: string,
  targetsOf: (of: { time: number; clockEpoch: number }) => string[],
): FireSummary {
  const time = number(row.time) ?? 0
  const clockEpoch = number(row.clock_epoch) ?? 0
  const outcome = outcomeOf(row)
  const of = { namespace: text(row.namespace) ?? '', name: text(row.name) ?? '', target: ANYWHERE }
  return {
    time,
    id: row.kind === 'run' ? shellRunId({ ...of, uid }) : scheduledRunId(of, time, clockEpoch),
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
    failedTargets: classOf(outcome) === 'failed' ? targetsOf({ time, clockEpoch }) : [],
    ...rangeOf(row),
  }
}
