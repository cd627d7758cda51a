import { type Clock, deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { Connection, type Service, type Tls } from './connection.ts'
import { EtcdUnavailable } from './errors.ts'

export interface ClusterMembersOptions {
  endpoints: readonly string[]
  tls: Tls | undefined
  log: Log
  clock: Clock
  callTimeoutMs: number
}

/** One member of the etcd cluster as this client knows it. */
export interface ClusterMember {
  connection: Connection
  /** Other members are preferred until this monotonic time. */
  avoidUntil: number
  /** Pending while a status call finds out whether a connection that did not answer is dead. */
  probe: Promise<void> | undefined
}

const AVOID_MS = 2_000
const PAUSE_MS = 100

/**
 * The members of the etcd cluster, and which of them the next request goes to: the same one while it answers, then another.
 *
 *   pick ──► connect ──fails──► avoid it for 2 s, pick another … until the deadline: EtcdUnavailable, nothing was sent
 *               │ ready
 *             request (requests.ts) ──no answer in time──► avoid it and ask its status
 *                                                            └─no answer either──► the connection is dead: replace it
 *
 * Without the status call gRPC would use a connection that loses packets until its keepalive fails.
 */
export class ClusterMembers {
  /** Deadline of one try, ms: short enough to try two members within the deadline of a call. */
  readonly attemptMs: number
  readonly #options: ClusterMembersOptions
  readonly #all: ClusterMember[]
  #current: ClusterMember
  #tls: Tls | undefined
  readonly #closing = new AbortController()

  constructor(options: ClusterMembersOptions) {
    if (options.endpoints.length === 0)
      throw new Error('etcd: the list of endpoints is empty: name at least one, such as https://host:2379')
    this.#options = options
    this.#tls = options.tls
    this.attemptMs = Math.ceil(options.callTimeoutMs / Math.max(2, options.endpoints.length))
    this.#all = options.endpoints.map(endpoint => ({
      connection: new Connection(endpoint, options.tls),
      avoidUntil: 0,
      probe: undefined,
    }))
    this.#current = randomOf(this.#all)
  }

  /** A member that can take a request now. Rejects with the parent's reason, or EtcdUnavailable when `signal` aborts first. */
  async connected(service: Service, signal: AbortSignal, parent?: AbortSignal): Promise<ClusterMember> {
    let last: unknown
    for (let tried = 1; !signal.aborted; tried += 1) {
      const member = this.#pick()
      await member.probe
      const attempt = deadline(this.attemptMs, signal)
      try {
        await member.connection.ready(service, attempt.signal)
        return member
      } catch (error) {
        if (signal.aborted) break
        last = error
        if (attempt.signal.aborted) this.#renew(member)
        this.avoid(member, error)
      } finally {
        attempt.done()
      }
      if (tried % this.#all.length === 0) await this.pause(PAUSE_MS, signal)
    }
    parent?.throwIfAborted()
    if (this.isClosed) throw new EtcdUnavailable('Closed', 'the etcd client is closed')
    const why = messageOf(last ?? signal.reason)
    const endpoints = this.#options.endpoints.join(', ')
    throw new EtcdUnavailable('Unreachable', `no etcd member answers at ${endpoints}: ${why}`, {
      cause: last ?? signal.reason,
    })
  }

  /** Prefers other members for 2 s. */
  avoid(member: ClusterMember, error: unknown): void {
    member.avoidUntil = this.#options.clock.monotonic() + AVOID_MS
    const endpoint = member.connection.endpoint
    if (!this.isClosed) this.#options.log.debug({ endpoint, error: messageOf(error) }, 'etcd.avoided')
  }

  /**
   * Call it when a request was not answered in time. A status call then tells a slow member, or one without a quorum, from a dead
   * connection, which is replaced.
   */
  suspect(member: ClusterMember): void {
    const { connection } = member
    const limit = deadline(this.attemptMs / 2, this.#closing.signal)
    member.probe ??= connection
      .unary('Maintenance', 'status', {}, limit.signal)
      .then(
        () => undefined,
        () => {
          if (member.connection === connection) this.#renew(member)
        },
      )
      .finally(() => {
        limit.done()
        member.probe = undefined
      })
  }

  /** The deadline of a call, which also ends when the parent aborts or the client is closed. */
  callDeadline(parent: AbortSignal | undefined): { signal: AbortSignal; done: () => void } {
    parent?.throwIfAborted()
    const closing = this.#closing.signal
    return deadline(this.#options.callTimeoutMs, parent ? AbortSignal.any([parent, closing]) : closing)
  }

  /** Waits `ms`, or until the signal aborts. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal).catch(() => undefined)
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Reconnects to all members with new certificates, which are renewed daily. */
  useTls(tls: Tls): void {
    this.#tls = tls
    for (const member of this.#all) this.#renew(member)
  }

  close(): void {
    this.#closing.abort(new EtcdUnavailable('Closed', 'the etcd client is closed'))
    for (const { connection } of this.#all) connection.close()
  }

  #pick(): ClusterMember {
    const now = this.#options.clock.monotonic()
    if (this.#current.avoidUntil <= now) return this.#current
    const good = this.#all.filter(member => member.avoidUntil <= now)
    this.#current =
      good.length > 0 ? randomOf(good) : this.#all.reduce((a, b) => (b.avoidUntil < a.avoidUntil ? b : a))
    return this.#current
  }

  #renew(member: ClusterMember): void {
    if (this.isClosed) return
    member.connection.close()
    member.connection = new Connection(member.connection.endpoint, this.#tls)
  }
}

function randomOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T
}
