import { boottimeMs } from '../../platform/boottime.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { moveRegistration } from '../../store/protocol/register.ts'
import { fenceAfter } from './fence.ts'
import { saveLeases } from './saved-leases.ts'
import type { HeldLease, Session, SessionOptions } from './session-options.ts'

/**
 * An edit of the pool's TTL reaches a living session: its registration moves to a lease of the new length. The session stays.
 *
 *   new lease, saved ─▶ shorter: fence lowered ─▶ registration unchanged → put on the new lease ─▶ longer: fence raised
 *                                                   └ no answer: either lease may hold. Both are renewed until an answer tells
 *
 * The transaction compares the registration's revision, so that a request that etcd applies late moves nothing back.
 */
export class FollowTtl {
  readonly #options: SessionOptions
  readonly #session: Session
  /** The TTL that was last asked for: etcd may have granted more. */
  #asked: number
  /** The new lease, until the registration is known to be on it. `sent`: when it was last renewed, on CLOCK_BOOTTIME in ms. */
  #next: (HeldLease & { sent: number }) | undefined

  constructor(options: SessionOptions, session: Session) {
    this.#options = options
    this.#session = session
    this.#asked = session.ttlSeconds
  }

  /** The leases that may hold the registration. */
  get leases(): string[] {
    return this.#held.map(({ lease }) => lease)
  }

  get shortestSeconds(): number {
    return Math.min(...this.#held.map(({ ttlSeconds }) => ttlSeconds))
  }

  /** Every lease was renewed by requests that were sent then. */
  renewed(sent: number): void {
    if (this.#next) this.#next.sent = sent
  }

  /** Moves the session if the pool's TTL has changed. Rejects if etcd does not answer: then the next call continues. */
  async follow(): Promise<void> {
    const wanted = this.#options.ttlSeconds()
    if (!this.#next && (wanted === this.#session.ttlSeconds || wanted === this.#asked)) return
    const item = await this.#registration()
    // Ended, or handed over to the next agent.
    if (!item || !this.leases.includes(item.lease ?? '')) return
    if (this.#next?.lease === item.lease) return this.#moved()
    this.#next ??= await this.#newLease(wanted)
    if (this.#next) await this.#move(this.#next, item)
  }

  /** One of two leases is gone. Answers whether the other one holds the registration. */
  async findHolder(): Promise<boolean> {
    const item = await this.#registration()
    if (!item) return false
    if (this.#next?.lease === item.lease) this.#moved()
    this.#next = undefined
    return this.#session.lease === item.lease
  }

  get #held(): HeldLease[] {
    return [this.#session, ...(this.#next ? [this.#next] : [])]
  }

  /** undefined: the registration is no longer of this session. */
  async #registration(): Promise<KeyValue | undefined> {
    const { etcd, keys, pool, agent } = this.#options
    const item = await etcd.get(keys.agent(pool, agent))
    return item?.create === this.#session.id ? item : undefined
  }

  /** undefined: the disk refuses its name, without which the next process could not resume the session. */
  async #newLease(seconds: number): Promise<(HeldLease & { sent: number }) | undefined> {
    const { etcd } = this.#options
    const sent = boottimeMs()
    const { id: lease, ttl: ttlSeconds } = await etcd.lease(seconds)
    this.#asked = seconds
    if (await saveLeases(this.#options, [lease, this.#session.lease])) return { lease, ttlSeconds, sent }
    await etcd.revoke(lease)
    return undefined
  }

  async #move(next: HeldLease & { sent: number }, { mod, value }: KeyValue): Promise<void> {
    const { etcd, keys, pool, agent } = this.#options
    if (next.ttlSeconds < this.#session.ttlSeconds) this.#fence(next)
    const answer = await etcd.txn(moveRegistration(keys, { pool, agent, lease: next.lease, mod }, value))
    if (answer.ok) this.#moved()
  }

  #moved(): void {
    const next = this.#next
    if (!next) return
    this.#session.lease = next.lease
    this.#session.ttlSeconds = next.ttlSeconds
    this.#next = undefined
    this.#fence(next)
    this.#options.log.info({ session: this.#session.id, ttlSeconds: next.ttlSeconds }, 'session.ttlChanged')
  }

  #fence({ sent, ttlSeconds }: { sent: number; ttlSeconds: number }): void {
    this.#options.fence(this.#session.id, fenceAfter(sent, ttlSeconds))
  }
}
