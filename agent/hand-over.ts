import { boottimeMs } from '../runtime/boottime.ts'
import { reregister } from '../store/protocol/register.ts'
import { saveLeases } from './saved-leases.ts'
import type { SessionOptions } from './session.ts'

/**
 * A registration moves between leases. The session is the registration's create revision, so it stays the same.
 *
 *   SIGTERM:        the pool's lease ─▶ one of at least 120 s: the next agent on this machine has that long, and no run is fenced
 *   the next agent: that lease ─▶ the pool's
 *
 * The answer may be lost, and then either lease may hold. So the fence is raised after the answer and lowered before the request: it is
 * never later than 70 % of the lease that may hold. See docs/protocol.md, and `test/model/protocol_model.py handover`.
 */
const HAND_OVER_SECONDS = 120
/** A session's runs are killed after this part of the TTL without an answered keepalive. */
export const FENCE_AT = 0.7

export interface Held {
  lease: string
  ttlSeconds: number
}

export const handOverSeconds = ({ ttlSeconds }: Held): number => Math.max(HAND_OVER_SECONDS, ttlSeconds)

/**
 * Moves the session to a new lease of `seconds`. Returns undefined if the session has ended. Returns the session's old lease if the new one could
 * not be saved; then nothing has changed. Rejects if etcd does not answer: then either lease may hold.
 */
export async function moveTo(
  options: SessionOptions,
  session: Held & { id: number },
  seconds: number,
): Promise<Held | undefined> {
  const { etcd, keys, pool, agent } = options
  const sent = boottimeMs()
  const { id: lease, ttl } = await etcd.lease(seconds)
  const fence = () => options.fence(session.id, sent + ttl * 1_000 * FENCE_AT)
  // Saved before it is used: after a crash right here the next agent finds its registration under one of the two.
  if (!(await saveLeases(options, [lease, session.lease]))) {
    await etcd.revoke(lease)
    return session
  }
  const isRaised = seconds >= session.ttlSeconds
  if (!isRaised) fence()
  const said = await etcd.txn(
    reregister(keys, { pool, agent, lease, session: session.id }, options.registration()),
  )
  if (!said.ok) return undefined
  if (isRaised) fence()
  return { lease, ttlSeconds: ttl }
}
