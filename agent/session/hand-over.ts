import { boottimeMs } from '../../platform/boottime.ts'
import { reregister } from '../../store/protocol/register.ts'
import { fenceAfter } from './fence.ts'
import { saveLeases } from './saved-leases.ts'
import type { HeldLease, SessionOptions } from './session-options.ts'

/**
 * A registration moves between leases. The session, which is the registration's create revision, stays.
 *
 *   SIGTERM:        the pool's lease ─▶ one of at least 120 s: the next agent on this machine may take that long, and no run is fenced
 *   the next agent: that lease ─▶ the pool's
 *
 * An answer can get lost, and then either lease may hold. So the fence is raised after the answer and lowered before the request (the
 * model's hand-over, docs/protocol.md): at no moment is it later than 70 % of the lease that may hold.
 */
const HAND_OVER_SECONDS = 120

export const handOverSeconds = ({ ttlSeconds }: HeldLease): number => Math.max(HAND_OVER_SECONDS, ttlSeconds)

/**
 * Moves the session to a lease of that many seconds. Answers undefined if the session has ended. Answers the lease that it had if the
 * new one could not be saved to disk; then nothing has changed. Rejects if etcd does not answer: then either lease may hold.
 */
export async function moveTo(
  options: SessionOptions,
  session: HeldLease & { id: number },
  seconds: number,
): Promise<HeldLease | undefined> {
  const { etcd, keys, pool, agent } = options
  const sent = boottimeMs()
  const { id: lease, ttl } = await etcd.lease(seconds)
  const fence = () => options.fence(session.id, fenceAfter(sent, ttl))
  // Before it is used: after a crash right here the next process finds its registration under one of the two.
  if (!(await saveLeases(options, [lease, session.lease]))) {
    await etcd.revoke(lease)
    return session
  }
  const isRaised = seconds >= session.ttlSeconds
  if (!isRaised) fence()
  const answer = await etcd.txn(
    reregister(keys, { pool, agent, lease, session: session.id }, options.registration()),
  )
  if (!answer.ok) return undefined
  if (isRaised) fence()
  return { lease, ttlSeconds: ttl }
}
