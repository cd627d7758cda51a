import type { Entry, JobEntry } from '../../core/records/entry.ts'

/**
 * Interns equal parts of entries, so that each is in memory once. Ten thousand jobs of a pool share most of their parts: placement, user,
 * shell. This is safe because entries are never changed in place.
 */
export type InternEntry = <T extends Entry>(entry: T) => T

/**
 * A generation of interned parts ends at either limit. A part that is not used during one whole generation is forgotten. That only costs
 * memory.
 */
const MAX_PARTS = 2_500
const MAX_CHARACTERS = 2 * 1024 * 1024

export function createEntryInterner(): InternEntry {
  let current = new Map<string, unknown>()
  let previous = new Map<string, unknown>()
  let characters = 0

  const intern = <V>(value: V): V => {
    const text = JSON.stringify(value)
    if (text === undefined) return value
    const known = current.get(text)
    if (known !== undefined) return known as V
    if (current.size >= MAX_PARTS || characters >= MAX_CHARACTERS) {
      previous = current
      current = new Map()
      characters = 0
    }
    const interned = (previous.get(text) ?? value) as V
    current.set(text, interned)
    characters += text.length
    return interned
  }
  /** Changes `of` in place, because nobody else has seen it yet. */
  const internFields = <V extends object>(of: V, names: readonly (keyof V)[]): void => {
    for (const name of names) of[name] = intern(of[name])
  }

  return entry => {
    internFields<Entry>(entry, ['pool', 'namespace', 'parameters'])
    if (entry.kind === 'job') internFields<JobEntry>(entry, ['timeZone', 'daylightSaving', 'schedules'])
    internFields(entry.command, [
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
