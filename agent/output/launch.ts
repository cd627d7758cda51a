import type { ExitRecord } from '../launcher/messages.ts'
import type { Attempt } from './attempt-labels.ts'

/** A launch as its output is concerned. */
export interface Launch {
  readonly id: string
  /** undefined: an agent armed it that did not say. Its output goes with its result. */
  attempt: Attempt | undefined
  record: ExitRecord | undefined
  isRunning: boolean
  settled: boolean
  acknowledged: boolean
  /** Stored up to this position of the spool; undefined: the operator has to be asked. */
  from: number | undefined
  /** Bytes of stdout and stderr up to there; undefined: not known, as the operator is an older one. */
  brought: number | undefined
}

/** What an ended launch costs beside its bytes: a file, a record in memory and in the journal. */
const EACH_COSTS = 4_096

/** Nothing is known of it but that it is there. */
export function unknown(id: string): Launch {
  return {
    id,
    attempt: undefined,
    record: undefined,
    isRunning: false,
    settled: false,
    acknowledged: false,
    from: undefined,
    brought: undefined,
  }
}

/** Of the quota. */
export function costOf({ record }: Launch): number {
  return EACH_COSTS + (record ? record.stdout.bytes + record.stderr.bytes : 0)
}
