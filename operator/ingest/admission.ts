import { Unavailable } from '../../platform/errors.ts'

/** Limits concurrency: `slots` requests at a time, one for each name, while up to `waiting` others wait. This bounds memory. */
export interface Admission {
  /** Rejects with Unavailable if too many requests wait. Returns a function that frees the slot. */
  enter(name: string): Promise<() => void>
}

interface Waiting {
  name: string
  enter(): void
}

export function createAdmission({ slots, waiting }: { slots: number; waiting: number }): Admission {
  const inside = new Set<string>()
  const queue: Waiting[] = []
  const admit = () => {
    while (inside.size < slots) {
      const index = queue.findIndex(({ name }) => !inside.has(name))
      const [next] = index < 0 ? [] : queue.splice(index, 1)
      if (!next) return
      inside.add(next.name)
      next.enter()
    }
  }
  return {
    async enter(name) {
      if (queue.length >= waiting)
        throw new Unavailable(`${queue.length} requests are waiting, which is the limit; try again later`)
      await new Promise<void>(resolve => {
        queue.push({ name, enter: resolve })
        admit()
      })
      return () => {
        inside.delete(name)
        admit()
      }
    },
  }
}
