import type { ConditionFact } from './transition-times.ts'

/** What compiling said of an object. */
export interface CompileStanding {
  /** undefined: it compiled. `mendable`: another object may mend it; else only an edit does. */
  blocked?: { reason: string; message: string; mendable: boolean } | undefined
  /** Since when it has been blocked with this reason, ms since the epoch; meaningless if it is not. */
  since: number
  /** Only an edit helps, or what could have mended it did not come within `MENDING_MS`. */
  stalled: boolean
}

/** So long another object may take to mend what is blocked before it counts as stalled, ms. */
export const MENDING_MS = 120_000

/** Ready, Reconciling and Stalled of what does not compile: kstatus, and with it kubectl wait, Flux, Argo CD and Helm read them. */
export function blockedConditions(
  { reason, message, mendable }: NonNullable<CompileStanding['blocked']>,
  { since, stalled }: CompileStanding,
): ConditionFact[] {
  const changed = stalled && mendable ? since + MENDING_MS : since
  const no = { status: 'False', message: '' } as const
  return [
    { type: 'Ready', status: 'False', reason, message, since },
    stalled
      ? { type: 'Reconciling', ...no, reason: 'Stalled', since: changed }
      : { type: 'Reconciling', status: 'True', reason, message, since },
    stalled
      ? { type: 'Stalled', status: 'True', reason, message, since: changed }
      : { type: 'Stalled', ...no, reason: 'Reconciling', since },
  ]
}
