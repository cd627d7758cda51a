/** A line of output, or a piece of output that is printed as it is. */
export interface Line {
  stream: 'stdout' | 'stderr'
  bytes: Buffer
}

export interface LineSplitter {
  /** The lines that `data` completes. The rest is kept until its line is complete. `at`: Unix ms. */
  split(part: { stream: Line['stream']; data: Uint8Array; at: number }, prefix: string): Line[]
  /** Takes the incomplete lines of an attempt. */
  incomplete(prefix: string): Line[]
}

const NEWLINE = 10

/**
 * Splits output into lines, for each attempt and stream on its own. A line starts with its prefix and with the time at which its first
 * byte was written, if asked.
 */
export function createLineSplitter({
  timestamps,
  prefixes,
}: {
  timestamps: boolean
  prefixes: boolean
}): LineSplitter {
  const begun = new Map<string, Buffer>()
  const startOf = (at: number, prefix: string) =>
    Buffer.from(`${prefixes ? `[${prefix}] ` : ''}${timestamps ? `${new Date(at).toISOString()} ` : ''}`)
  return {
    split({ stream, data, at }, prefix) {
      const key = `${stream} ${prefix}`
      const lines: Line[] = []
      for (let from = 0; from < data.length; ) {
        const newline = data.indexOf(NEWLINE, from)
        const to = newline < 0 ? data.length : newline + 1
        const bytes = Buffer.concat([begun.get(key) ?? startOf(at, prefix), data.subarray(from, to)])
        if (newline < 0) begun.set(key, bytes)
        else {
          begun.delete(key)
          lines.push({ stream, bytes })
        }
        from = to
      }
      return lines
    },
    incomplete(prefix) {
      return (['stdout', 'stderr'] as const).flatMap(stream => {
        const bytes = begun.get(`${stream} ${prefix}`)
        begun.delete(`${stream} ${prefix}`)
        if (!bytes) return []
        // With several attempts mixed, the line of another one must not continue this line.
        return [{ stream, bytes: prefixes ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes }]
      })
    },
  }
}
