/**
 * Memory in which one batch after the other is gathered. What each took anew would outlive the young generation, and lie there until the next
 * full collection: an agent that ships a gigabyte was larger by up to a hundred megabytes, and spent half of its time on collections.
 */
export interface BatchBuffer {
  /** So many bytes, until `clear`; undefined: there is no room for them. */
  take(bytes: number): Buffer | undefined
  /** What was taken is needed no more. */
  clear(): void
  /** Nothing is to be sent for now: what was taken is needed no more, and the memory not for a while. */
  release(): void
}

export function createBatchBuffer(size: number): BatchBuffer {
  let all: Buffer | undefined
  let taken = 0
  return {
    take(bytes) {
      if (bytes > size - taken) return undefined
      all ??= Buffer.allocUnsafeSlow(size)
      taken += bytes
      return all.subarray(taken - bytes, taken)
    },
    clear: () => void (taken = 0),
    release() {
      taken = 0
      all = undefined
    },
  }
}
