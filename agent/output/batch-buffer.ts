/**
 * Memory for one batch at a time. New buffers for each batch would be promoted to the old generation and stay until the next full
 * collection: an agent that shipped a gigabyte grew by up to 100 MB and spent half of its time on garbage collection.
 */
export interface BatchBuffer {
  /** Returns `bytes` of memory, valid until `clear`; undefined: the buffer has not that much left. */
  take(bytes: number): Buffer | undefined
  /** Reuses the memory for the next batch. */
  clear(): void
  /** Frees the memory, because no batch follows for now. */
  release(): void
}

export function createBatchBuffer(size: number): BatchBuffer {
  let memory: Buffer | undefined
  let taken = 0
  return {
    take(bytes) {
      if (bytes > size - taken) return undefined
      memory ??= Buffer.allocUnsafeSlow(size)
      taken += bytes
      return memory.subarray(taken - bytes, taken)
    },
    clear: () => void (taken = 0),
    release() {
      taken = 0
      memory = undefined
    },
  }
}
