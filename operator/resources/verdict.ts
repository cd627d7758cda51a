/**
 * Whether a status is a verdict on this generation. A job that another object may still fix has none yet. A ShellRun that runs has one: it is
 * accepted.
 */
export function isVerdict(status: unknown, generation: number | undefined): boolean {
  const { observedGeneration, conditions, phase } = (status ?? {}) as {
    observedGeneration?: unknown
    conditions?: unknown
    phase?: unknown
  }
  if (observedGeneration !== generation) return false
  const all = Array.isArray(conditions) ? (conditions as { type?: unknown; status?: unknown }[]) : []
  return phase !== undefined || !all.some(({ type, status: is }) => type === 'Reconciling' && is === 'True')
}
