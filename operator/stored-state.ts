import type { CellKind } from '../core/keys.ts'
import { type JobEntry, jobEntrySchema, type RunEntry, runEntrySchema } from '../core/records/entry.ts'
import { cellSchema } from '../core/records/state.ts'
import { parseVersioned } from '../store/protocol/versioned.ts'
import type { Context } from './context.ts'
import { type CellSeen, type StoredIn, signed } from './etcd-mirrors.ts'
import type { ObjectName } from './object-name.ts'

/** What etcd holds of one job or ShellRun, read from etcd itself: the mirrors may lag. */

type Deps = Pick<Context, 'etcd' | 'keys' | 'identity' | 'mirrors'>

export interface StoredState<T> {
  stored: StoredIn<T>[]
  cells: CellSeen[]
}

/** `pools`: pools that may hold something of it, besides those that the mirrors show. */
export async function readJobState(
  deps: Deps,
  name: ObjectName,
  pools: Iterable<string>,
): Promise<StoredState<JobEntry>> {
  const { keys, identity, mirrors } = deps
  const all = new Set(pools)
  for (const { pool } of mirrors.storedJobs(name.namespace, name.name)) all.add(pool)
  const read = signed(identity.publicKey, jobEntrySchema)
  return readState(deps, { kind: 'job', name, pools: all, read, keyIn: pool => keys.job({ pool, ...name }) })
}

export async function readRunState(
  deps: Deps,
  name: ObjectName,
  pools: Iterable<string>,
): Promise<StoredState<RunEntry>> {
  const { keys, identity, mirrors } = deps
  const all = new Set(pools)
  for (const { pool } of mirrors.storedRuns(name.namespace, name.name)) all.add(pool)
  const read = signed(identity.publicKey, runEntrySchema)
  return readState(deps, { kind: 'run', name, pools: all, read, keyIn: pool => keys.run({ pool, ...name }) })
}

/** Reads each entry before its cells: a suspended entry admits no claim, so the cells read after it show all its runs. */
async function readState<T>(
  { etcd, keys, mirrors }: Deps,
  of: {
    kind: CellKind
    name: ObjectName
    pools: Set<string>
    read: ReturnType<typeof signed<T>>
    keyIn(pool: string): string
  },
): Promise<StoredState<T>> {
  const { kind, name, pools, read, keyIn } = of
  for (const { ref } of mirrors.cellsOf(kind, name.namespace, name.name)) pools.add(ref.pool)
  const state: StoredState<T> = { stored: [], cells: [] }
  for (const pool of pools) {
    const key = keyIn(pool)
    const item = await etcd.get(key)
    if (item) state.stored.push({ pool, key, mod: item.mod, value: read(item) })
    for (const cell of (await etcd.list(keys.cellsOf({ pool, kind, ...name }))).items) {
      const ref = keys.parseCell(cell.key)
      if (ref) state.cells.push({ ref, ...parseVersioned(cellSchema, cell.key, cell) })
    }
  }
  return state
}
