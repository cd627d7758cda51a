import { boottimeMs } from '../../platform/boottime.ts'
import { messageOf } from '../../platform/errors.ts'
import { fenceAfter } from './fence.ts'
import type { Session, SessionOptions } from './session-options.ts'

const RETRY_MS = 1_000

/**
 * Renews the lease of a session four times per TTL, one keepalive at a time, and moves the fence after each answer. Resolves when the
 * lease is gone. A keepalive without an answer is sent again: the lease may still be alive.
 */
export async function renewLease(
  options: SessionOptions,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const { etcd, clock, log } = options
  const intervalMs = (session.ttlSeconds * 1_000) / 4
  let waitMs = intervalMs
  for (;;) {
    await clock.sleep(waitMs, signal)
    const sent = boottimeMs()
    try {
      const ttl = await etcd.keepAlive(session.lease, Math.max(1_000, intervalMs))
      if (ttl <= 0) return
      options.fence(session.id, fenceAfter(sent, ttl))
      waitMs = intervalMs
    } catch (error) {
      log.warn({ session: session.id, error: messageOf(error) }, 'keepalive.unanswered')
      waitMs = Math.min(RETRY_MS, intervalMs)
    }
  }
}
