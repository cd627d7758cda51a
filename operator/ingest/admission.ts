import { Unavailable } from '../../platform/errors.ts'

/** Lets so many in at a time, one of each name, and so many wait for it: what one needs of memory is bounded by that. */
export interface Admission {
  /** Rejects with Unavailable when too many wait already. What it returns lets the next one in. */
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
      if (queue.length >= waiting) throw new Unavailable(`${queue.length} requests wait already`)
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
