import type { Keys } from '../../core/keys.ts'
import type { Right } from '../../store/etcd/auth.ts'

/** The role of a pool's agents in etcd. */
export function roleOf(pool: string): string {
  return `pool:${pool}`
}

/** The inverse of `roleOf`; undefined: not a pool's role. */
export function poolOfRole(role: string): string | undefined {
  return role.startsWith('pool:') ? role.slice('pool:'.length) : undefined
}

/** What the agents of a pool may do in etcd: read what the operator writes for the pool, and write what agents record. Nothing else. */
export function rightsOf(keys: Keys, pool: string): Right[] {
  const read = [keys.meta, keys.jobs(pool), keys.runs(pool), keys.members(pool)]
  const write = [
    keys.cells(pool),
    keys.agents(pool),
    keys.actives(pool),
    keys.resultsOf(pool),
    keys.requests(pool),
  ]
  return [
    { keys: { key: keys.pool(pool) }, write: false },
    ...read.map(prefix => ({ keys: { prefix }, write: false })),
    ...write.map(prefix => ({ keys: { prefix }, write: true })),
  ]
}
