import type { NewCondition } from './transition-times.ts'

/** The result of compiling an object, as far as conditions need it. */
export interface CompileState {
  /** undefined: it compiled. `mendable`: a change of another object may fix it; otherwise only an edit of this one does. */
  blocked?: { reason: string; message: string; mendable: boolean } | undefined
  /** Since when it has been blocked for this reason, ms since the epoch; meaningless if it is not blocked. */
  since: number
  /** Only an edit helps, or no other object has fixed it within `STALLED_AFTER_MS`. */
  stalled: boolean
}

/** How long a blocked object may wait for another object to fix it, before it counts as stalled; ms. */
export const STALLED_AFTER_MS = 120_000

/** Ready, Reconciling and Stalled of an object that does not compile. kstatus reads them, and so do kubectl wait, Flux, Argo CD and Helm. */
export function blockedConditions(
  { reason, message, mendable }: NonNullable<CompileState['blocked']>,
  { since, stalled }: CompileState,
): NewCondition[] {
  const changed = stalled && mendable ? since + STALLED_AFTER_MS : since
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
