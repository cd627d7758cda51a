import { type Active, activeSchema } from '../../core/records/state.ts'
import { Ambiguous } from '../../platform/errors.ts'
import type { TxnAnswer } from '../../store/etcd/types.ts'
import type { Claimed } from '../../store/protocol/claim.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/**
 * Sends a claim, and calls `won` if etcd committed it. Until then the run is in `context.claiming`: its active entry may already be in
 * etcd, and must not be mistaken for one that this agent has forgotten.
 */
export async function sendClaim(
  context: Context,
  { txn, active }: Claimed,
  won: (active: Versioned<Active>) => void,
): Promise<TxnAnswer> {
  const { keys, pool, agent, batcher, claiming } = context
  const key = keys.active(pool, agent, active.run)
  claiming.add(active.run)
  try {
    const answer = await batcher.txn(txn).catch(error => rereadAmbiguous(context, error, key))
    if (answer.ok) won({ key, mod: answer.revision, value: active })
    return answer
  } finally {
    claiming.delete(active.run)
  }
}

/** The answer was lost. If the active entry is there under this session, the claim was committed, and nothing has started the run. */
async function rereadAmbiguous(context: Context, error: unknown, key: string): Promise<TxnAnswer> {
  if (!(error instanceof Ambiguous)) throw error
  const active = parseVersioned(activeSchema, key, await context.etcd.get(key, context.signal))
  if (active.value?.session !== context.session) throw error
  return { ok: true, revision: active.mod, gets: [] }
}
