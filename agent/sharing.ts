import type { Entry, JobEntry } from '../core/records/entry.ts'

/**
 * Ten thousand jobs of a pool are alike in most of what they say: where they run, as whom, by which shell. Parts that are equal are kept
 * once. Entries are never changed in place, so nobody can tell.
 */
export type Sharing = <T extends Entry>(entry: T) => T

/** Past so many different parts what was known is forgotten: it only costs memory. */
const MOST = 5_000

export function createSharing(): Sharing {
  const known = new Map<string, unknown>()

  const once = <V>(value: V): V => {
    const text = JSON.stringify(value)
    if (text === undefined) return value
    const there = known.get(text)
    if (there !== undefined) return there as V
    if (known.size >= MOST) known.clear()
    known.set(text, value)
    return value
  }
  /** In place, as nobody else has seen it yet. */
  const share = <V extends object>(of: V, names: readonly (keyof V)[]): V => {
    for (const name of names) of[name] = once(of[name])
    return of
  }

  return entry => {
    share<Entry>(entry, ['pool', 'namespace', 'parameters'])
    if (entry.kind === 'job') share<JobEntry>(entry, ['timeZone', 'daylightSaving', 'schedules'])
    share(entry.command, [
      'labels',
      'placement',
      'host',
      'container',
      'shell',
      'env',
      'workingDir',
      'successExitCodes',
    ])
    return entry
  }
}
