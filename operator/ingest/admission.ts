import { Unavailable } from '../../platform/errors.ts'

/** One request of each name at a time, while few others of the name wait. No name can make another one wait. */
export interface Admission {
  /** Rejects with Unavailable if too many requests of the name wait. Returns a function that lets the next one in. */
  enter(name: string): Promise<() => void>
}

export function createAdmission({ waiting }: { waiting: number }): Admission {
  /** The requests that wait, for each name that has one inside. */
  const queues = new Map<string, (() => void)[]>()
  const leave = (name: string) => {
    const next = queues.get(name)?.shift()
    if (next) next()
    else queues.delete(name)
  }
  return {
    async enter(name) {
      const queue = queues.get(name)
      if (queue && queue.length >= waiting)
        throw new Unavailable(
          `${queue.length} other requests of ${name} are waiting, which is the limit; try again later`,
        )
      if (queue) await new Promise<void>(resolve => queue.push(resolve))
      else queues.set(name, [])
      return () => leave(name)
    },
  }
}
