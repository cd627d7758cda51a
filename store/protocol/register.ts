import type { Keys } from '../../core/keys.ts'
import type { Registration } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'

/**
 * A session begins: the registration is created only if there is none, under the agent's lease; its create revision is the session.
 * Else the answer holds the registration that stands there: our own after a restart or an ambiguous answer, if its lease is ours.
 */
export function register(
  keys: Keys,
  who: { pool: string; agent: string; lease: string },
  registration: Registration,
): Txn {
  const key = keys.agent(who.pool, who.agent)
  return {
    compare: [{ key, create: 0 }],
    then: [{ put: key, value: JSON.stringify(registration), lease: who.lease }],
    else: [{ get: key }],
  }
}

/**
 * The same session says more of itself, if its registration is still what it was; under whatever lease it is: a hand-over may have moved
 * it, and whoever put it back would have it end before its runs' fence.
 */
export function amend(
  keys: Keys,
  who: { pool: string; agent: string; mod: number },
  registration: Registration,
): Txn {
  const key = keys.agent(who.pool, who.agent)
  return {
    compare: [{ key, mod: who.mod }],
    then: [{ put: key, value: JSON.stringify(registration), ignoreLease: true }],
  }
}

/** The same session says something new of itself (another launcher instance): a put keeps the create revision. */
export function reregister(
  keys: Keys,
  who: { pool: string; agent: string; lease: string; session: number },
  registration: Registration,
): Txn {
  const key = keys.agent(who.pool, who.agent)
  return {
    compare: [{ key, create: who.session }],
    then: [{ put: key, value: JSON.stringify(registration), lease: who.lease }],
    else: [{ get: key }],
  }
}
