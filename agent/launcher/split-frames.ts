import { MAX_FRAME_BYTES } from '../../platform/frames.ts'

/** Half a frame. The other half is for the commas of the list and the message around it. */
const BATCH_BYTES = MAX_FRAME_BYTES / 2

/** Splits a list so that each part fits in a frame as JSON. A single item is never split. */
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
