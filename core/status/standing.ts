import type { Statement } from './conditions.ts'

/** What compiling said of an object. */
export interface Standing {
  /** undefined: it compiled. `mendable`: another object may mend it; else only an edit does. */
  blocked?: { reason: string; message: string; mendable: boolean } | undefined
  /** Since when it has been blocked with this reason, ms since the epoch; meaningless if it is not. */
  since: number
}

/** So long another object may take to mend it before the object counts as stalled, ms. */
export const MENDING_MS = 120_000

export type Verdict =
  | { kind: 'ready' }
  /** `until`: ms since the epoch; then it counts as stalled, and its status is to be written anew. */
  | { kind: 'reconciling'; reason: string; message: string; since: number; until: number }
  /** `since`: when it was blocked; `stalled`: when that became final. */
  | { kind: 'stalled'; reason: string; message: string; since: number; stalled: number }

export function verdictOn({ blocked, since }: Standing, now: number): Verdict {
  if (!blocked) return { kind: 'ready' }
  const { reason, message, mendable } = blocked
  const until = since + MENDING_MS
  if (mendable && now < until) return { kind: 'reconciling', reason, message, since, until }
  return { kind: 'stalled', reason, message, since, stalled: mendable ? until : since }
}

/** Ready, Reconciling and Stalled of what does not compile: kstatus, and with it kubectl wait, Flux, Argo CD and Helm read them. */
export function blockedStatements(verdict: Exclude<Verdict, { kind: 'ready' }>): Statement[] {
  const { kind, reason, message, since } = verdict
  const changed = kind === 'stalled' ? verdict.stalled : since
  const no = { status: 'False', message: '' } as const
  return [
    { type: 'Ready', status: 'False', reason, message, since },
    kind === 'reconciling'
      ? { type: 'Reconciling', status: 'True', reason, message, since }
      : { type: 'Reconciling', ...no, reason: 'Stalled', since: changed },
    kind === 'stalled'
      ? { type: 'Stalled', status: 'True', reason, message, since: changed }
      : { type: 'Stalled', ...no, reason: 'Reconciling', since },
  ]
}
