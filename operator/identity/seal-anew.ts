import type { Context } from '../context.ts'
import type { Queues } from '../event-handlers.ts'
import { nameKey } from '../object-name.ts'

/** Enqueues the entries of pools whose key was replaced: they are compiled again, and so sealed with the new key. */
export function createSealAnew({ mirrors }: Pick<Context, 'mirrors'>): {
  /** Remembers the pools. */
  of(pools: ReadonlySet<string>): void
  /** To be called when the pools' records have the new keys: then agents have been told before they see a new seal. */
  enqueue(queues: Pick<Queues, 'jobs' | 'runs'>): void
} {
  const pools = new Set<string>()
  return {
    of(more) {
      for (const pool of more) pools.add(pool)
    },
    enqueue(queues) {
      if (pools.size === 0) return
      for (const { value } of mirrors.jobs.entries())
        if (pools.has(value.pool)) queues.jobs.add(nameKey(value))
      for (const { value } of mirrors.runs.entries())
        if (pools.has(value.pool)) queues.runs.add(nameKey(value))
      pools.clear()
    },
  }
}
