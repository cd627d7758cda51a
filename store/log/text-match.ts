import { chunksOf } from '../../core/output/chunks.ts'

/** Searches for a text in output that is read piece by piece. The case of ASCII letters does not matter. */
export interface TextSearch {
  isIn(text: string): boolean
  /** Starts the search of one attempt's output. Pass its pieces in order. Each stream is searched by itself, across pieces. */
  begin(): (chunks: Uint8Array) => boolean
}

export function createTextSearch(text: string): TextSearch {
  const needle = lowered(Buffer.from(text))
  const overlap = needle.length - 1
  return {
    isIn: other => lowered(Buffer.from(other)).includes(needle),
    begin() {
      const before: Record<string, Buffer> = {}
      return chunks => {
        for (const chunk of chunksOf(chunks)) {
          if (chunk.stream !== 'stdout' && chunk.stream !== 'stderr') continue
          const now = Buffer.concat([before[chunk.stream] ?? Buffer.alloc(0), lowered(chunk.data)])
          if (now.includes(needle)) return true
          before[chunk.stream] = now.subarray(Math.max(0, now.length - overlap))
        }
        return false
      }
    },
  }
}

function lowered(bytes: Uint8Array): Buffer {
  const lower = Buffer.from(bytes)
  for (let i = 0; i < lower.length; i++) {
    const byte = lower[i] ?? 0
    if (byte >= 0x41 && byte <= 0x5a) lower[i] = byte | 0x20
  }
  return lower
}
