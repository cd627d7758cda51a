import { MAX_FRAME_BYTES } from '../../platform/frames.ts'

/** Half a frame: JSON's own characters and the message around the items fit beside. */
const BATCH_BYTES = MAX_FRAME_BYTES / 2

/** Splits items so that each part, as JSON, fits a frame. One item alone is never split. */
export function batches<T>(items: readonly T[]): T[][] {
  const parts: T[][] = []
  let part: T[] = []
  let bytes = 0
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item))
    if (part.length > 0 && bytes + size > BATCH_BYTES) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(item)
    bytes += size
  }
  return part.length > 0 ? [...parts, part] : parts
}
