import { Unavailable } from '../../platform/errors.ts'

/**
 * How many bytes of request bodies may be in memory. Beyond it, the body that has been arriving for the longest time is dropped: a fast
 * client's body is whole within milliseconds, so that is a slow one. If only whole bodies are left, the new one is dropped.
 */
export interface BodyBudget {
  /** `drop`: called if this body has to make room. */
  open(drop: (why: Unavailable) => void): BodyAccount
}

export interface BodyAccount {
  add(bytes: number): void
  /** The body is whole, so it is not dropped any more. */
  whole(): void
  /** The body is not in memory any more. */
  close(): void
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  const arriving = new Map<object, { drop(why: Unavailable): void; close(): void }>()
  let total = 0
  return {
    open(drop) {
      const me = {}
      let mine = 0
      const close = () => {
        arriving.delete(me)
        total -= mine
        mine = 0
      }
      arriving.set(me, { drop, close })
      return {
        add(bytes) {
          if (!arriving.has(me)) return
          total += bytes
          mine += bytes
          // This body is among those that are arriving, so enough of them are dropped.
          for (const other of arriving.values()) {
            if (total <= maxBytes) return
            other.close()
            other.drop(new Unavailable('the memory for batches that arrive or wait is full; try again later'))
          }
        },
        whole: () => void arriving.delete(me),
        close,
      }
    },
  }
}
