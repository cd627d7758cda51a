import { classOf, type FireClass, gravity, hadNoProcess } from '../../core/status/fire-summary.ts'
import type { StoredResult } from './port.ts'

/** What is kept of a fire beside its rows. `open`: no target has a final outcome yet. */
export interface FireAggregate {
  class: FireClass | 'open'
  gravity: number
  /** The row that speaks for the fire: the first of the gravest. */
  result: number
  startedAt: number | undefined
  endedAt: number
  succeeded: number
  failed: number
  missed: number
  /** Was it ever taken by an agent? */
  taken: boolean
}

/** The sum of one result, stored as row `id`. An attempt that another one follows counts only for when the fire began. */
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
    taken: attempt > 0,
  }
}

export function mergeAggregates(sum: FireAggregate, more: FireAggregate): FireAggregate {
  const speaks = more.gravity > sum.gravity ? more : sum
  const starts = [sum.startedAt, more.startedAt].filter(at => at !== undefined)
  return {
    class: speaks.class,
    gravity: speaks.gravity,
    result: speaks.result,
    startedAt: starts.length > 0 ? Math.min(...starts) : undefined,
    endedAt: Math.max(sum.endedAt, more.endedAt),
    succeeded: sum.succeeded + more.succeeded,
    failed: sum.failed + more.failed,
    missed: sum.missed + more.missed,
    taken: sum.taken || more.taken,
  }
}
