import { boottimeMs } from '../../platform/boottime.ts'
import { messageOf } from '../../platform/errors.ts'
import { fenceAfter } from './fence.ts'
import { FollowTtl } from './follow-ttl.ts'
import type { Session, SessionOptions } from './session-options.ts'

const RETRY_MS = 1_000

/**
 * Renews the lease of a session four times per TTL, one round of keepalives at a time, and moves the fence after each. Resolves when the
 * lease is gone. A keepalive without an answer is sent again: the lease may still be alive. After a keepalive the session follows an edit
 * of the pool's TTL (follow-ttl.ts).
 */
export async function renewLease(
  options: SessionOptions,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options
  const ttl = new FollowTtl(options, session)
  const intervalMs = () => (ttl.shortestSeconds * 1_000) / 4
  let waitMs = intervalMs()
  for (;;) {
    await clock.sleep(waitMs, signal)
    try {
      if (!(await renew(options, { session, ttl, timeoutMs: Math.max(1_000, intervalMs()) }))) return
      await ttl.follow()
      waitMs = intervalMs()
    } catch (error) {
      log.warn({ session: session.id, error: messageOf(error) }, 'keepalive.unanswered')
      waitMs = Math.min(RETRY_MS, intervalMs())
    }
  }
}

/** Answers false if the session has ended. While either of two leases may hold, the fence follows the one that ends first. */
async function renew(
  { etcd, fence }: SessionOptions,
  { session, ttl, timeoutMs }: { session: Session; ttl: FollowTtl; timeoutMs: number },
): Promise<boolean> {
  const sent = boottimeMs()
  const granted = await Promise.all(ttl.leases.map(lease => etcd.keepAlive(lease, timeoutMs)))
  if (granted.some(seconds => seconds <= 0)) return ttl.leases.length > 1 && (await ttl.findHolder())
  ttl.renewed(sent)
  fence(session.id, Math.min(...granted.map(seconds => fenceAfter(sent, seconds))))
  return true
}
