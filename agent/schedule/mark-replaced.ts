import { activeSchema, type Cell } from '../../core/records/state.ts'
import { markKill } from '../../store/protocol/mark-kill.ts'
import { parseVersioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/** Replace: marks the active entries of a cell's runs, so that their owners end them. An entry that is already marked stays as it is. */
export async function markReplaced(context: Context, cell: Cell): Promise<void> {
  const { keys, pool, etcd, batcher, signal } = context
  for (const { agent: owner, run } of cell.active) {
    const key = keys.active(pool, owner, run)
    const active = parseVersioned(activeSchema, key, await etcd.get(key, signal))
    if (active.value && !active.value.kill)
      await batcher.txn(markKill({ ...active, value: active.value }, 'Replaced'))
  }
}
