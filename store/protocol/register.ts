import type { Keys } from '../../core/keys.ts'
import type { Registration } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'

/**
 * Begins a session, in one transaction. The create revision of the registration is the session's number.
 *
 *   no registration → put it on the agent's lease
 *   else read it: it is the agent's own, after a restart or an ambiguous answer, if it is on the agent's lease
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
 * Changes a session's registration, in one transaction, and leaves it on its lease. A hand-over may have moved it to a longer lease; on the
 * former lease the session would end before the fence of its runs.
 *
 *   registration unchanged → put it, on the lease that it has
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

/**
 * Moves a session's registration to another lease, in one transaction: its pool has another TTL now.
 *
 *   registration unchanged → put the same value on this lease
 */
export function moveRegistration(
  keys: Keys,
  who: { pool: string; agent: string; lease: string; mod: number },
  value: string,
): Txn {
  const key = keys.agent(who.pool, who.agent)
  return { compare: [{ key, mod: who.mod }], then: [{ put: key, value, lease: who.lease }] }
}

/**
 * Changes a session's registration and its lease, in one transaction: after a hand-over, or for another launcher instance. The session stays
 * the same, because a put keeps the create revision.
 *
 *   registration is of this session → put it on this lease
 *   else read it
 */
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
