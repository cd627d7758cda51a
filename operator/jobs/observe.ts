import { isTarget } from '../../core/fires/placement.ts'
import { jobEntrySchema } from '../../core/records/entry.ts'
import { cellSchema } from '../../core/records/state.ts'
import { parseVersioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import { signed } from '../etcd-mirrors.ts'
import type { CellSeen, Desired, JobWorld, StoredEntry } from './job-world.ts'

/** The world of one job, as the mirrors show it (cheap, may lag) or as etcd says now (what is acted on). */

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'identity' | 'mirrors'>
export interface Name {
  namespace: string
  name: string
}

export function mirrored(deps: Deps, of: Name, desired: Desired): JobWorld {
  const { mirrors } = deps
  const stored = mirrors.storedJobs(of.namespace, of.name)
  return worldOf(deps, { desired, stored, cells: mirrors.cellsOf('job', of.namespace, of.name) })
}

/**
 * Reads entries before cells: of an entry that is suspended no claim can follow, so cells read after it lack no run of it.
 * `pools`: where else the job may stand than where the mirrors show it.
 */
export async function read(
  deps: Deps,
  of: Name,
  about: { desired: Desired; pools: Iterable<string>; kill?: string },
): Promise<JobWorld> {
  const { mirrors, etcd, keys, identity } = deps
  const pools = new Set(about.pools)
  for (const { pool } of mirrors.storedJobs(of.namespace, of.name)) pools.add(pool)
  for (const { ref } of mirrors.cellsOf('job', of.namespace, of.name)) pools.add(ref.pool)
  if (about.desired.kind === 'entry') pools.add(about.desired.entry.pool)
  const readEntry = signed(identity.publicKey, jobEntrySchema)
  const stored: StoredEntry[] = []
  const cells: CellSeen[] = []
  for (const pool of pools) {
    const key = keys.job({ pool, ...of })
    const item = await etcd.get(key)
    if (item) stored.push({ pool, key, mod: item.mod, value: readEntry(item) })
    const { items } = await etcd.list(keys.cellsOf({ pool, kind: 'job', ...of }))
    for (const item of items) {
      const ref = keys.parseCell(item.key)
      if (ref) cells.push({ ref, ...parseVersioned(cellSchema, item.key, item) })
    }
  }
  return worldOf(deps, { ...about, stored, cells })
}

function worldOf(
  { mirrors, clock }: Deps,
  seen: Pick<JobWorld, 'desired' | 'stored' | 'cells' | 'kill'>,
): JobWorld {
  return {
    ...seen,
    now: clock.now(),
    members: (pool, placement) =>
      mirrors
        .membersOf(pool)
        .filter(({ agent, member }) => isTarget(placement, agent, member))
        .map(({ agent }) => agent),
    timesOf: entry => entryTimes(entry).times,
  }
}
