import type { Line } from './line-splitter.ts'

export interface LastLines {
  /** From now on keeps only the last lines of this attempt. Without a `tail` it does nothing. */
  hold(prefix: string): void
  /** Keeps the line, or writes it if the attempt is not held. */
  put(line: Line, prefix: string): Promise<void>
  /** Writes the kept lines, and from now on every line. */
  release(prefix: string): Promise<void>
}

/** Keeps the last `tail` lines of each attempt that is held, both streams together. */
export function createLastLines(tail: number | undefined, write: (line: Line) => Promise<void>): LastLines {
  const held = new Map<string, Line[]>()
  return {
    hold(prefix) {
      if (tail !== undefined) held.set(prefix, [])
    },
    async put(line, prefix) {
      const last = held.get(prefix)
      if (!last) return write(line)
      last.push(line)
      if (last.length > (tail ?? 0)) last.shift()
    },
    async release(prefix) {
      const lines = held.get(prefix) ?? []
      held.delete(prefix)
      for (const line of lines) await write(line)
    },
  }
}
