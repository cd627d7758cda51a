import { boottimeMs } from '../../platform/boottime.ts'
import { messageOf } from '../../platform/errors.ts'
import { register, reregister } from '../../store/protocol/register.ts'
import { fenceAfter } from './fence.ts'
import { moveTo } from './hand-over.ts'
import { renewLease } from './renew-lease.ts'
import { savedLeases, saveLeases } from './saved-leases.ts'
import type { Session, SessionOptions } from './session-options.ts'

/**
 * Sessions, one after another.
 *
 *   state directory ─ its lease is alive and holds the registration ─▶ resumed: the same session
 *          └───────── else ─▶ new lease ─▶ registered ─▶ renewed by keepalives ─▶ lost: the next one begins
 *
 * After each answered keepalive the launcher is told until when this session's runs may live (fence.ts), so that they are dead before
 * anyone may bury them.
 */

const RETRY_MS = 1_000

/** Holds sessions until `signal` aborts. `during` lives as long as each; its signal aborts when the session ends. */
export async function holdSessions(
  options: SessionOptions,
  signal: AbortSignal,
  during: (session: Session, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const session = await acquire(options, signal)
    const own = new AbortController()
    const lost = AbortSignal.any([own.signal, signal])
    const work = during(session, lost)
    const failed = await Promise.race([renewLease(options, session, lost), work]).then(
      () => false,
      error => {
        if (!signal.aborted)
          options.log.error({ session: session.id, error: messageOf(error) }, 'session.failed')
        return true
      },
    )
    own.abort(new Error(`session ${session.id} ended`))
    await work.catch(() => undefined)
    if (signal.aborted) return
    options.log.warn({ session: session.id }, 'session.lost')
    if (failed) await options.clock.sleep(RETRY_MS, signal)
  }
}

async function acquire(options: SessionOptions, signal: AbortSignal): Promise<Session> {
  for (;;) {
    signal.throwIfAborted()
    try {
      const session = (await resume(options)) ?? (await begin(options))
      if (session) {
        options.log.info({ session: session.id, resumed: session.resumed }, 'session.held')
        return session
      }
    } catch (error) {
      options.log.warn({ error: messageOf(error) }, 'session.unavailable')
    }
    await options.clock.sleep(RETRY_MS, signal)
  }
}

async function resume(options: SessionOptions): Promise<Session | undefined> {
  const { etcd, keys, pool, agent } = options
  const saved = await savedLeases(options)
  const item = saved.length > 0 ? await etcd.get(keys.agent(pool, agent)) : undefined
  const lease = item?.lease
  if (!item || lease === undefined || !saved.includes(lease)) return undefined
  const sent = boottimeMs()
  const ttl = await etcd.keepAlive(lease, 5_000)
  if (ttl <= 0) return undefined
  // After a hand-over, or an edit of the pool's TTL, the lease has another length.
  if (ttl !== options.ttlSeconds()) {
    const held = { id: item.create, lease, ttlSeconds: ttl }
    const moved = await moveTo(options, held, options.ttlSeconds())
    if (moved?.lease !== lease) return moved && { id: item.create, ...moved, resumed: true }
    // The new lease could not be saved (a full disk): the session keeps the old one, which the next process can find.
  }
  options.fence(item.create, fenceAfter(sent, ttl))
  const answer = await etcd.txn(
    reregister(keys, { pool, agent, lease, session: item.create }, options.registration()),
  )
  return answer.ok ? { id: item.create, lease, ttlSeconds: ttl, resumed: true } : undefined
}

async function begin(options: SessionOptions): Promise<Session | undefined> {
  const { etcd, keys, pool, agent, log } = options
  const sent = boottimeMs()
  const { id: lease, ttl } = await etcd.lease(options.ttlSeconds())
  // Saved before it is used: after a crash right here the next process finds its own registration and resumes it. If it cannot be saved,
  // the next process has to wait until the lease ends; having no session would be worse.
  await saveLeases(options, [lease])
  const answer = await etcd.txn(register(keys, { pool, agent, lease }, options.registration()))
  if (answer.ok) {
    options.fence(answer.revision, fenceAfter(sent, ttl))
    return { id: answer.revision, lease, ttlSeconds: ttl, resumed: false }
  }
  log.info({ agent }, 'session.waitsForAnOlderOne')
  await etcd.revoke(lease)
  return undefined
}
