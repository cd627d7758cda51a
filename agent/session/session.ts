import type { Keys } from '../../core/keys.ts'
import type { Registration } from '../../core/records/state.ts'
import { boottimeMs } from '../../platform/boottime.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import { register, reregister } from '../../store/protocol/register.ts'
import { FENCE_AT, moveTo } from './hand-over.ts'
import { savedLeases, saveLeases } from './saved-leases.ts'

/**
 * One life of an agent's lease.
 *
 *   state directory ─ lease still alive, registration its ─▶ resumed: same session
 *          └───────── else ─▶ new lease ─▶ registered ─▶ held by keepalives ─▶ lost: the next one begins
 *
 * After each answered keepalive the launcher is told how long this session's runs may live without the next: 70 % of the TTL after the
 * *sending* of it, so that they are dead before anybody may bury them.
 */
export interface Session {
  id: number
  lease: string
  ttlSeconds: number
  resumed: boolean
}

export interface SessionOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  stateDir: string
  clock: Clock
  log: Log
  ttlSeconds(): number
  registration(): Registration
  fence(session: number, untilBoottimeMs: number): void
}

const RETRY_MS = 1_000

/** Holds sessions, one after another, until `signal` aborts; `during` lives as long as each, its signal aborts with the session's end. */
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
    const failed = await Promise.race([keepAlive(options, session, lost), work]).then(
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
  const left = await etcd.keepAlive(lease, 5_000)
  if (left <= 0) return undefined
  // Handed over, or of a pool that has another TTL by now.
  if (left !== options.ttlSeconds()) {
    const held = { id: item.create, lease, ttlSeconds: left }
    const moved = await moveTo(options, held, options.ttlSeconds())
    if (moved?.lease !== lease) return moved && { id: item.create, ...moved, resumed: true }
    // On a full disk it stays as it is: so the next life finds it.
  }
  options.fence(item.create, sent + left * 1_000 * FENCE_AT)
  const said = await etcd.txn(
    reregister(keys, { pool, agent, lease, session: item.create }, options.registration()),
  )
  return said.ok ? { id: item.create, lease, ttlSeconds: left, resumed: true } : undefined
}

async function begin(options: SessionOptions): Promise<Session | undefined> {
  const { etcd, keys, pool, agent, log } = options
  const sent = boottimeMs()
  const { id: lease, ttl } = await etcd.lease(options.ttlSeconds())
  // Saved before it is used: after a crash right here the next life finds its own registration and resumes it. Where it cannot be saved the
  // next life has to wait for its end; to have no session would be worse.
  await saveLeases(options, [lease])
  const answer = await etcd.txn(register(keys, { pool, agent, lease }, options.registration()))
  if (answer.ok) {
    options.fence(answer.revision, sent + ttl * 1_000 * FENCE_AT)
    return { id: answer.revision, lease, ttlSeconds: ttl, resumed: false }
  }
  log.info({ agent }, 'session.waitsForAnOlderOne')
  await etcd.revoke(lease)
  return undefined
}

/** Resolves when the lease is gone. A keepalive that is not answered is tried again: the lease may well be alive. */
async function keepAlive(options: SessionOptions, session: Session, signal: AbortSignal): Promise<void> {
  const { etcd, clock, log } = options
  const pause = (session.ttlSeconds * 1_000) / 4
  let wait = pause
  for (;;) {
    await clock.sleep(wait, signal)
    const sent = boottimeMs()
    try {
      const left = await etcd.keepAlive(session.lease, Math.max(1_000, pause))
      if (left <= 0) return
      options.fence(session.id, sent + left * 1_000 * FENCE_AT)
      wait = pause
    } catch (error) {
      log.warn({ session: session.id, error: messageOf(error) }, 'keepalive.unanswered')
      wait = Math.min(RETRY_MS, pause)
    }
  }
}
