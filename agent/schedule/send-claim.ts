import { type Active, activeSchema } from '../../core/records/state.ts'
import { Ambiguous } from '../../platform/errors.ts'
import type { TxnAnswer } from '../../store/etcd/types.ts'
import type { Claimed } from '../../store/protocol/claim.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/**
 * Asks etcd for a run, and calls `won` if it is given. From the request until then the run is among `context.asked`: its entry may be
 * there already, and must not be taken for one that nobody knows.
 */
export async function sendClaim(
  context: Context,
  { txn, active }: Claimed,
  won: (active: Versioned<Active>) => void,
): Promise<TxnAnswer> {
  const { keys, pool, agent, batcher, asked } = context
  const key = keys.active(pool, agent, active.run)
  asked.add(active.run)
  try {
    const answer = await batcher.txn(txn).catch(error => wonAfterAll(context, error, key))
    if (answer.ok) won({ key, mod: answer.revision, value: active })
    return answer
  } finally {
    asked.delete(active.run)
  }
}

/** The answer was lost: if etcd says now that the run is mine then it is, and nobody has started it. */
async function wonAfterAll(context: Context, error: unknown, key: string): Promise<TxnAnswer> {
  if (!(error instanceof Ambiguous)) throw error
  const active = parseVersioned(activeSchema, key, await context.etcd.get(key, context.signal))
  if (active.value?.session !== context.session) throw error
  return { ok: true, revision: active.mod, gets: [] }
}
