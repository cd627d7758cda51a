import { classOf, type FireClass, gravity, hadNoProcess } from '../../core/status/fire-summary.ts'
import type { StoredResult } from './port.ts'

/** A fire, aggregated over its results. `open`: no target has a final outcome yet. */
export interface FireAggregate {
  class: FireClass | 'open'
  gravity: number
  /** The row of the decisive result: the first of the greatest gravity. */
  result: number
  startedAt: number | undefined
  endedAt: number
  succeeded: number
  failed: number
  missed: number
  /** An agent claimed it on at least one target, and it was not Missed all the same. */
  taken: boolean
}

/** The aggregate of one result, stored as row `id`. An attempt that was retried counts only for the fire's start. */
export function aggregateOf(result: StoredResult, id: number): FireAggregate {
  const { outcome, final, startedAt, endedAt, attempt } = result
  const missed = hadNoProcess(outcome)
  const succeeded = outcome === 'Succeeded'
  return {
    class: final ? classOf(outcome) : 'open',
    gravity: final ? gravity(outcome) : -1,
    result: id,
    startedAt,
    endedAt,
    succeeded: final && succeeded ? 1 : 0,
    failed: final && !succeeded && !missed ? 1 : 0,
    missed: final && missed ? 1 : 0,
    taken: attempt > 0 && !missed,
  }
}

export function mergeAggregates(before: FireAggregate, more: FireAggregate): FireAggregate {
  const decisive = more.gravity > before.gravity ? more : before
  const starts = [before.startedAt, more.startedAt].filter(at => at !== undefined)
  return {
    class: decisive.class,
    gravity: decisive.gravity,
    result: decisive.result,
    startedAt: starts.length > 0 ? Math.min(...starts) : undefined,
    endedAt: Math.max(before.endedAt, more.endedAt),
    succeeded: before.succeeded + more.succeeded,
    failed: before.failed + more.failed,
    missed: before.missed + more.missed,
    taken: before.taken || more.taken,
  }
}
