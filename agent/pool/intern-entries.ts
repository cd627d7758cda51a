import type { Entry, JobEntry } from '../../core/records/entry.ts'

/**
 * Ten thousand jobs of a pool are alike in most of what they say: where they run, as whom, by which shell. Parts that are equal are kept
 * once. Entries are never changed in place, so nobody can tell.
 */
export type InternEntry = <T extends Entry>(entry: T) => T

/** Past so many different parts, or characters of them, what has not been met since as many others were is forgotten: it only costs memory. */
const MOST = 2_500
const MOST_CHARACTERS = 2 * 1024 * 1024

export function createEntryInterner(): InternEntry {
  let lately = new Map<string, unknown>()
  let before = new Map<string, unknown>()
  let characters = 0

  const once = <V>(value: V): V => {
    const text = JSON.stringify(value)
    if (text === undefined) return value
    const there = lately.get(text)
    if (there !== undefined) return there as V
    if (lately.size >= MOST || characters >= MOST_CHARACTERS) {
      before = lately
      lately = new Map()
      characters = 0
    }
    const known = (before.get(text) ?? value) as V
    lately.set(text, known)
    characters += text.length
    return known
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
