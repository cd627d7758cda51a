import { boottimeMs } from '../../platform/boottime.ts'
import { reregister } from '../../store/protocol/register.ts'
import { saveLeases } from './saved-leases.ts'
import type { SessionOptions } from './session.ts'

/**
 * A registration moves between leases; the session stays, which is the registration's create revision.
 *
 *   SIGTERM:        the pool's lease ─▶ one of at least 120 s: the next agent on this machine may take that long, and no run is fenced
 *   the next agent: that lease ─▶ the pool's
 *
 * An answer may be lost, and then either lease may hold. So the fence is raised after the answer, and lowered before the request
 * (protocol_model.py handover): at no moment is it later than 70 % of the lease that may hold.
 */
const HAND_OVER_SECONDS = 120
/** The part of the TTL after which a session's runs are killed if no keepalive was answered. */
export const FENCE_AT = 0.7

export interface HeldLease {
  lease: string
  ttlSeconds: number
}

export const handOverSeconds = ({ ttlSeconds }: HeldLease): number => Math.max(HAND_OVER_SECONDS, ttlSeconds)

/**
 * To a lease of so many seconds. undefined: the session has ended. The same lease: that of another could not be saved, and nothing has
 * changed. Rejects if etcd does not answer: then either lease may hold.
 */
export async function moveTo(
  options: SessionOptions,
  session: HeldLease & { id: number },
  seconds: number,
): Promise<HeldLease | undefined> {
  const { etcd, keys, pool, agent } = options
  const sent = boottimeMs()
  const { id: lease, ttl } = await etcd.lease(seconds)
  const fence = () => options.fence(session.id, sent + ttl * 1_000 * FENCE_AT)
  // Before it is used: whoever comes after a crash right here finds its registration under one of them.
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
