import type { Entry } from '../../core/records/entry.ts'

/**
 * The newest write of each object's entry that this agent has seen, as long as it lives. An older entry under a valid signature may have
 * been put back by another process, so it is refused. Once an entry was seen deleted, only a later write of the operator brings its object
 * back. Otherwise a ShellRun that has run and is gone could be put back, and run again.
 */
export interface NewestSeen {
  /** Whether the entry is as new as any of its object. If so, it is remembered. */
  admits(entry: Entry): boolean
  deleted(uid: string): void
}

interface Seen {
  generation: number
  written: number
  isDeleted: boolean
}

export function createNewestSeen(): NewestSeen {
  const seen = new Map<string, Seen>()
  return {
    admits({ uid, generation, written }) {
      const last = seen.get(uid)
      if (last && isOlder({ generation, written }, last)) return false
      seen.set(uid, { generation, written: written ?? 0, isDeleted: false })
      return true
    },
    deleted(uid) {
      const last = seen.get(uid)
      if (last) last.isDeleted = true
    },
  }
}

/** An operator of an older version does not number its writes: then only the generation counts. */
function isOlder({ generation, written }: Pick<Entry, 'generation' | 'written'>, last: Seen): boolean {
  if (generation < last.generation) return true
  if (written === undefined) return last.written > 0
  return last.isDeleted ? written <= last.written : written < last.written
}
