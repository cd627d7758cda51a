import { randomUUID } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { type Answer, accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { Log } from '../../platform/log.ts'

/**
 * One of several operators leads: it holds a Lease and renews it. A candidate takes the Lease if it has not changed for its duration, by
 * the candidate's own monotonic clock. Wall clocks of different machines are never compared.
 *
 *   candidate ── free, or unchanged for 12 s ──► leader ── no renewal sent within 10 s has succeeded ──► steps down
 *
 * The election saves work, but is not a lock: a leader that was frozen may still send a write. Every write compares what it is based on.
 */
export interface LeaderOptions {
  api: KubeApi
  clock: Clock
  log: Log
  namespace: string
  /** The name of the Lease. */
  name: string
  /** This operator's name in the Lease. */
  identity: string
  /** Called after each attempt to get the Lease, with the reason if the Lease could not be read or written. */
  onAttempt?(trouble: string | undefined): void
  /** For tests, ms. The leader steps down `margin` before others may take over. */
  times?: { duration: number; renew: number; retry: number; margin: number }
}

const TIMES = { duration: 12_000, renew: 4_000, retry: 1_000, margin: 2_000 }

interface Lease {
  apiVersion: 'coordination.k8s.io/v1'
  kind: 'Lease'
  metadata: { name: string; namespace: string; resourceVersion?: string }
  spec?: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    acquireTime?: string
    renewTime?: string
    leaseTransitions?: number
  }
}

/**
 * Waits for the Lease, runs `whileLeading` until it ends or the signal aborts, and releases the Lease. If the Lease is lost, the signal of
 * `whileLeading` aborts, and after it has ended this operator is a candidate again. Rejects if `whileLeading` rejects while it leads.
 */
export async function lead(
  options: LeaderOptions,
  signal: AbortSignal,
  whileLeading: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const election = new Election(options)
  while (!signal.aborted) {
    const term = await election.win(signal)
    if (!term) return
    options.log.info({ lease: options.name, identity: options.identity }, 'leader.elected')
    const { lost } = await serve(election, term, { signal, whileLeading })
    if (!lost) {
      await election.release()
      return
    }
    options.log.warn({ lease: options.name, identity: options.identity, lost }, 'leader.lost')
  }
}

/** `lost`: why the term ended before `whileLeading` did. */
async function serve(
  election: Election,
  term: Lease,
  { signal, whileLeading }: { signal: AbortSignal; whileLeading: (signal: AbortSignal) => Promise<void> },
): Promise<{ lost?: string }> {
  const end = new AbortController()
  const done = new AbortController()
  const holding = election.hold(term, done.signal).then(lost => {
    if (lost === undefined) return {}
    end.abort(new Unavailable(`this operator no longer leads: ${lost}`))
    return { lost }
  })
  try {
    await whileLeading(AbortSignal.any([signal, end.signal]))
  } catch (error) {
    if (!end.signal.aborted && !signal.aborted) {
      done.abort()
      await holding
      await election.release()
      throw error
    }
  }
  done.abort()
  return holding
}

class Election {
  readonly #options: LeaderOptions
  readonly #times: typeof TIMES
  readonly #path: string
  /** A restarted pod is another candidate. */
  readonly #me: string
  /** The version of the Lease that was last read, and since when it has been the same. */
  #seen: { version: string; since: number } | undefined
  /** When the Lease expires unless it is renewed. */
  #free = Infinity
  #sentAt = 0

  constructor(options: LeaderOptions) {
    this.#options = options
    this.#times = options.times ?? TIMES
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`
    this.#me = `${options.identity}_${randomUUID()}`
  }

  /** Resolves with the Lease once this operator holds it; with undefined if the signal aborts first. */
  async win(signal: AbortSignal): Promise<Lease | undefined> {
    while (!signal.aborted) {
      try {
        const won = await this.#try(signal)
        this.#options.onAttempt?.(undefined)
        if (won) return won
      } catch (error) {
        if (signal.aborted) return undefined
        this.#options.onAttempt?.(messageOf(error))
        this.#options.log.warn({ lease: this.#options.name, error: messageOf(error) }, 'leader.unreachable')
      }
      const wait = Math.min(this.#times.retry, Math.max(this.#free - this.#options.clock.monotonic(), 20))
      await this.#options.clock.sleep(wait, signal).catch(() => undefined)
    }
    return undefined
  }

  /** Renews the Lease until `done` aborts (undefined), or until it is lost (returns the reason). */
  async hold(term: Lease, done: AbortSignal): Promise<string | undefined> {
    const { clock } = this.#options
    const { duration, margin, renew, retry } = this.#times
    let lease = term
    let validUntil = this.#sentAt + duration - margin
    for (let wait = renew; ; ) {
      await clock.sleep(Math.min(wait, validUntil - clock.monotonic()), done).catch(() => undefined)
      if (done.aborted) return undefined
      const left = validUntil - clock.monotonic()
      if (left <= 0) return 'the Lease was not renewed in time'
      const renewed = await this.#renew(lease, { signal: done, within: left })
      if (renewed === 'taken') return 'another operator has taken the Lease'
      wait = renewed ? renew : retry
      if (!renewed) continue
      lease = renewed
      validUntil = this.#sentAt + duration - margin
    }
  }

  /** Lets the next operator lead at once. If this fails, it has to wait for the Lease's duration. */
  async release(): Promise<void> {
    try {
      const lease = await this.#read()
      if (lease?.spec?.holderIdentity !== this.#me) return
      await this.#put({ ...lease, spec: { ...lease.spec, holderIdentity: '' } })
    } catch (error) {
      this.#options.log.warn({ lease: this.#options.name, error: messageOf(error) }, 'leader.notReleased')
    }
  }

  async #try(signal: AbortSignal): Promise<Lease | undefined> {
    const { clock, namespace, name } = this.#options
    const lease = await this.#read(signal)
    if (!lease) {
      const metadata = { name, namespace }
      return this.#put(this.#claim({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata }), {
        signal,
      })
    }
    const version = lease.metadata.resourceVersion ?? ''
    if (this.#seen?.version !== version) this.#seen = { version, since: clock.monotonic() }
    const { holderIdentity = '', leaseDurationSeconds } = lease.spec ?? {}
    const duration = leaseDurationSeconds === undefined ? this.#times.duration : leaseDurationSeconds * 1000
    this.#free = this.#seen.since + duration
    const mine = holderIdentity === '' || holderIdentity === this.#me
    if (!mine && clock.monotonic() < this.#free) return undefined
    return this.#put(this.#claim(lease), { signal })
  }

  #claim(lease: Lease): Lease {
    const now = this.#now()
    const { holderIdentity, leaseTransitions = 0 } = lease.spec ?? {}
    const spec = {
      holderIdentity: this.#me,
      leaseDurationSeconds: Math.ceil(this.#times.duration / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: holderIdentity === this.#me ? leaseTransitions : leaseTransitions + 1,
    }
    return { ...lease, spec }
  }

  /** undefined: the attempt failed. */
  async #renew(
    lease: Lease,
    call: { signal: AbortSignal; within: number },
  ): Promise<Lease | 'taken' | undefined> {
    try {
      const renewed = await this.#put({ ...lease, spec: { ...lease.spec, renewTime: this.#now() } }, call)
      if (renewed) return renewed
      // Changed by another operator, or by our own renewal whose answer was lost.
      const now = await this.#read(call.signal)
      if (now?.spec?.holderIdentity !== this.#me) return 'taken'
      return await this.#put({ ...now, spec: { ...now.spec, renewTime: this.#now() } }, call)
    } catch (error) {
      if (!call.signal.aborted) {
        this.#options.log.warn({ lease: this.#options.name, error: messageOf(error) }, 'leader.notRenewed')
      }
      return undefined
    }
  }

  async #read(signal?: AbortSignal): Promise<Lease | undefined> {
    const answer = await this.#options.api.request({
      path: `${this.#path}/${this.#options.name}`,
      within: this.#times.renew,
      ...(signal ? { signal } : {}),
    })
    return answer.status === 404 ? undefined : (accepted(answer, 'get lease') as Lease)
  }

  /** Writes the Lease. Undefined if it has changed since it was read. */
  async #put(lease: Lease, call: { signal?: AbortSignal; within?: number } = {}): Promise<Lease | undefined> {
    const { resourceVersion, name } = lease.metadata
    const sentAt = this.#options.clock.monotonic()
    const answer: Answer = await this.#options.api.request({
      path: resourceVersion ? `${this.#path}/${name}` : this.#path,
      method: resourceVersion ? 'PUT' : 'POST',
      body: lease,
      ...(call.signal ? { signal: call.signal } : {}),
      within: Math.min(call.within ?? this.#times.renew, this.#times.renew),
    })
    if (answer.status === 409 || answer.status === 404) return undefined
    const put = accepted(answer, 'put lease') as Lease
    this.#sentAt = sentAt
    return put
  }

  /** In the API's MicroTime format. */
  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace('Z', '000Z')
  }
}
