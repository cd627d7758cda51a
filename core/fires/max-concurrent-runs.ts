import type { DueTimes } from './catch-up.ts'
import type { Decision, FireInput } from './decision.ts'
import { skipRange, skipWaiting } from './settlement.ts'

/** maxConcurrentRuns, which a ShellPolicy sets per job and target: due times above it are skipped as TooManyRuns. */

const TOO_MANY_RUNS = 'TooManyRuns'

export function isAtRunLimit({ entry, cell }: FireInput): boolean {
  return entry.maxConcurrentRuns !== undefined && (cell?.active.length ?? 0) >= entry.maxConcurrentRuns
}

/** undefined: below the limit, or nothing wants to start. */
export function skipAboveRunLimit(input: FireInput, { open, settle }: DueTimes): Decision | undefined {
  const { times, cell } = input
  if (!isAtRunLimit(input)) return undefined
  if (cell?.waiting) return { kind: 'settle', settle: skipWaiting(cell, TOO_MANY_RUNS) }
  return open && { kind: 'settle', settle: [...settle, ...skipRange(times, open, TOO_MANY_RUNS)] }
}
