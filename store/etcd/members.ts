import { type Clock, deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { Connection, type Service, type Tls } from './connection.ts'
import { EtcdAmbiguous, EtcdUnavailable, faultOf, readFaultOf } from './errors.ts'

export interface MembersOptions {
  endpoints: readonly string[]
  tls: Tls | undefined
  log: Log
  clock: Clock
  callTimeoutMs: number
}

export interface Call {
  service: Service
  method: string
  request: unknown
}

/** Sends a request over a connection; `Call` in general. */
type Send<T> = (connection: Connection, signal: AbortSignal) => Promise<T>

/** One member of the cluster as this client knows it. */
export interface Member {
  connection: Connection
  /** Not chosen before this monotonic time, unless all are so. */
  avoidUntil: number
  /** Runs while it is found out whether a connection that did not answer is dead. */
  probe: Promise<void> | undefined
}

const avoidMs = 2_000
const pauseMs = 100
/** After a change of roles the next try is nearly always good: a claim must not wait for long. */
const stalePauseMs = 10

/**
 * The members of the cluster, and how requests get to one of them: to the same one as long as it answers, then to another.
 *
 *   connect ──fails──► avoid it for 2 s, next member … until the deadline: Unavailable, nothing was sent
 *      │ ready
 *     send ──no answer in time──► avoid it; ask its status; no answer either: the connection is dead, take a new one
 *      ├──► refused ──► Unavailable, or once more if only the auth revision was old
 *      └──► anything else ──► Ambiguous
 *
 * gRPC itself would go on to use a connection whose packets vanish until its keepalive finds out.
 */
export class Members {
  readonly #options: MembersOptions
  readonly #attemptMs: number
  readonly #all: Member[]
  #current: Member
  #tls: Tls | undefined
  readonly #closing = new AbortController()

  constructor(options: MembersOptions) {
    if (options.endpoints.length === 0) throw new Error('etcd: no endpoints')
    this.#options = options
    this.#tls = options.tls
    this.#attemptMs = Math.ceil(options.callTimeoutMs / Math.max(2, options.endpoints.length))
    this.#all = options.endpoints.map(endpoint => ({
      connection: new Connection(endpoint, options.tls),
      avoidUntil: 0,
      probe: undefined,
    }))
    this.#current = anyOf(this.#all)
  }

  /**
   * A request that changes something: sent at most once, but for an old auth revision, with which etcd applies nothing.
   * Rejects with EtcdUnavailable (not applied), EtcdRefused (not applied) or EtcdAmbiguous; with the signal's reason if it
   * aborts before the request was sent.
   */
  async send<T>(call: Call, parent?: AbortSignal): Promise<T> {
    const limit = this.#limit(parent)
    try {
      for (;;) {
        const member = await this.connected(call.service, limit.signal, parent)
        try {
          return await member.connection.unary<T>(call.service, call.method, call.request, limit.signal)
        } catch (error) {
          if (limit.signal.aborted) throw this.#silent(member, call, limit.signal, parent)
          const fault = faultOf(error, this.#nameOf(member, call))
          if (!('code' in fault)) throw fault
          if (fault.code === 'Lost' || fault.code === 'Unreachable') this.avoid(member, fault)
          if (fault.code !== 'AuthStale') throw fault
          await this.#pause(stalePauseMs, limit.signal)
        }
      }
    } finally {
      limit.done()
    }
  }

  /** A request that may be sent again, to any member, until the deadline. Rejects with EtcdUnavailable, EtcdRefused or the signal's reason. */
  async read<T>(call: Call, parent?: AbortSignal): Promise<T> {
    const { service, method, request } = call
    return await this.repeat(
      call,
      (connection, signal) => connection.unary<T>(service, method, request, signal),
      parent,
    )
  }

  /** `read`, by a request of another form than `call`'s. */
  async repeat<T>(call: Pick<Call, 'service' | 'method'>, send: Send<T>, parent?: AbortSignal): Promise<T> {
    const limit = this.#limit(parent)
    try {
      for (;;) {
        const member = await this.connected(call.service, limit.signal, parent)
        const attempt = deadline(this.#attemptMs, limit.signal)
        try {
          return await send(member.connection, attempt.signal)
        } catch (error) {
          parent?.throwIfAborted()
          const fault = readFaultOf(error, this.#nameOf(member, call))
          if (!isPassing(fault)) throw fault
          if (attempt.signal.aborted) this.suspect(member)
          if (fault.code === 'Unreachable') this.avoid(member, fault)
          if (limit.signal.aborted) throw fault
          await this.#pause(fault.code === 'AuthStale' ? stalePauseMs : pauseMs, limit.signal)
        } finally {
          attempt.done()
        }
      }
    } finally {
      limit.done()
    }
  }

  /** A member that can take a request now. Rejects with the parent's reason, or EtcdUnavailable when `signal` aborts first. */
  async connected(service: Service, signal: AbortSignal, parent?: AbortSignal): Promise<Member> {
    let last: unknown
    for (let tried = 1; !signal.aborted; tried += 1) {
      const member = this.#pick()
      await member.probe
      const attempt = deadline(this.#attemptMs, signal)
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
      if (tried % this.#all.length === 0) await this.#pause(pauseMs, signal)
    }
    parent?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new EtcdUnavailable('Closed', 'the etcd client is closed')
    const why = messageOf(last ?? signal.reason)
    throw new EtcdUnavailable('Unreachable', `no etcd member can be reached: ${why}`, {
      cause: last ?? signal.reason,
    })
  }

  /** Other members are asked first for a while. */
  avoid(member: Member, error: unknown): void {
    member.avoidUntil = this.#options.clock.monotonic() + avoidMs
    const endpoint = member.connection.endpoint
    if (!this.#closing.signal.aborted)
      this.#options.log.debug({ endpoint, error: messageOf(error) }, 'etcd.avoided')
  }

  /** It did not answer in time: find out whether that is the member (slow, no quorum) or the connection, which then is replaced. */
  suspect(member: Member): void {
    const { connection } = member
    const limit = deadline(this.#attemptMs / 2, this.#closing.signal)
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

  /** Certificates are renewed daily: new connections for all members. */
  useTls(tls: Tls): void {
    this.#tls = tls
    for (const member of this.#all) this.#renew(member)
  }

  close(): void {
    this.#closing.abort(new EtcdUnavailable('Closed', 'the etcd client is closed'))
    for (const { connection } of this.#all) connection.close()
  }

  #limit(parent: AbortSignal | undefined): { signal: AbortSignal; done: () => void } {
    parent?.throwIfAborted()
    const closing = this.#closing.signal
    return deadline(this.#options.callTimeoutMs, parent ? AbortSignal.any([parent, closing]) : closing)
  }

  /** The fault of a call that was sent and given up. */
  #silent(member: Member, call: Call, signal: AbortSignal, parent: AbortSignal | undefined): EtcdAmbiguous {
    const name = this.#nameOf(member, call)
    if (!parent?.aborted && !this.#closing.signal.aborted) {
      this.suspect(member)
      this.avoid(member, signal.reason)
    }
    return new EtcdAmbiguous('Lost', `${name}: ${messageOf(signal.reason)}`, { cause: signal.reason })
  }

  #pick(): Member {
    const now = this.#options.clock.monotonic()
    if (this.#current.avoidUntil <= now) return this.#current
    const good = this.#all.filter(member => member.avoidUntil <= now)
    this.#current =
      good.length > 0 ? anyOf(good) : this.#all.reduce((a, b) => (b.avoidUntil < a.avoidUntil ? b : a))
    return this.#current
  }

  #renew(member: Member): void {
    if (this.#closing.signal.aborted) return
    member.connection.close()
    member.connection = new Connection(member.connection.endpoint, this.#tls)
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal).catch(() => undefined)
  }

  #nameOf(member: Member, call: Pick<Call, 'method'>): string {
    return `etcd ${call.method} at ${member.connection.endpoint}`
  }
}

/** Another member, or the same one a moment later, may well answer. */
function isPassing(fault: Error): fault is EtcdUnavailable {
  return (
    fault instanceof EtcdUnavailable && ['Unreachable', 'AuthStale', 'TooManyRequests'].includes(fault.code)
  )
}

function anyOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T
}
