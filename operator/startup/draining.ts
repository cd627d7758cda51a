/**
 * The Lease's annotation that makes the operator drain: no finalizer is added, all are removed, and `jobs/` is emptied. It holds the time at
 * which that ends, so that an uninstallation that was given up halfway does not stop all jobs for good.
 */
export const DRAINING_UNTIL = 'shellcron.dev/draining-until'

/** `now`: Unix ms. */
export function isDraining(annotations: Readonly<Record<string, string>> | undefined, now: number): boolean {
  const until = Date.parse(annotations?.[DRAINING_UNTIL] ?? '')
  return Number.isFinite(until) && now < until
}
