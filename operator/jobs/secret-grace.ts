import type { JobEntry } from '../../core/records/entry.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Blocked } from '../compile/blocked.ts'
import type { CompiledJob } from '../compile/compile-job.ts'
import type { DesiredEntry } from './job-state.ts'

/**
 * While a Secret or ConfigMap is absent, a job keeps its last sealed values for five minutes. The stored entry must be in force and of the
 * generation that the object has now.
 */
export interface SecretGrace {
  /** `key`: `<namespace>/<name>`. `refused`: why the object did not compile. `before`: the stored entry. */
  lend(
    key: string,
    of: { refused: Blocked | undefined; before: JobEntry | undefined; entry: CompiledJob['entry'] },
  ): { entry: DesiredEntry; leftMs: number } | undefined
  forget(key: string): void
}

const GRACE_MS = 300_000
const GRACED_REASONS = /^(Secret|ConfigMap)(NotFound|Forbidden)$|^KeyNotFound$/

export function createSecretGrace(clock: Clock): SecretGrace {
  const absentSince = new Map<string, number>()
  return {
    lend(key, { refused, before, entry }) {
      if (!refused || !GRACED_REASONS.test(refused.reason)) {
        absentSince.delete(key)
        return undefined
      }
      if (!before?.sealed || before.blocked || before.generation !== entry.generation) return undefined
      const since = absentSince.get(key) ?? clock.now()
      absentSince.set(key, since)
      const leftMs = since + GRACE_MS - clock.now()
      return leftMs > 0 ? { entry: withValuesOf(before, entry), leftMs } : undefined
    },
    forget: key => void absentSince.delete(key),
  }
}

/** A compilation that fails resolves no variables at all: plain ones are taken from the stored entry too. */
function withValuesOf(before: JobEntry, entry: CompiledJob['entry']): DesiredEntry {
  const { sealed, sealedDigest, notSecret, command } = before
  return {
    ...entry,
    command: { ...entry.command, env: command.env },
    sealed,
    sealedDigest,
    ...(notSecret ? { notSecret } : {}),
  }
}
