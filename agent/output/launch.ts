import type { ExitRecord } from '../launcher/messages.ts'
import type { Attempt } from './attempt-labels.ts'

/** One start of a command by the launcher, with the progress of its output. */
export interface Launch {
  readonly id: string
  /** undefined: the agent that armed it set no labels. Its output then ends with its result. */
  attempt: Attempt | undefined
  record: ExitRecord | undefined
  isRunning: boolean
  /** Its result is recorded in etcd. */
  resultRecorded: boolean
  /** Its output is stored, or its loss is recorded. */
  acknowledged: boolean
  /** The operator has stored its spool up to this position. undefined: not known, so the agent has to ask. */
  storedOffset: number | undefined
  /** Bytes of stdout and stderr up to there. undefined: not known, because the operator is an older version. */
  storedBytes: number | undefined
}

/** What an ended launch costs in addition to its output: a file, and a record in memory and in the journal. */
const OVERHEAD_BYTES = 4_096

/** A launch of which only the id is known. */
export function newLaunch(id: string): Launch {
  return {
    id,
    attempt: undefined,
    record: undefined,
    isRunning: false,
    resultRecorded: false,
    acknowledged: false,
    storedOffset: undefined,
    storedBytes: undefined,
  }
}

/** Bytes that count against the quota. */
export function costOf({ record }: Launch): number {
  return OVERHEAD_BYTES + (record ? record.stdout.bytes + record.stderr.bytes : 0)
}
