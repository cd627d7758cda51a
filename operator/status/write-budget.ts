import { hash53 } from '../../core/hash.ts'
import type { Condition } from '../../core/schema/status.ts'
import { type Backoff, createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { ObjectRef, Written } from '../resources/port.ts'
import { RateLimit } from './rate-limit.ts'

/**
 * Writes statuses within a budget for all objects together, as each write goes to the cluster's own etcd. Level-triggered: a changed object
 * is marked, and its status is computed when its turn comes. So the newest status wins, and intermediate ones are never written.
 *
 *   touch ──▶ verdict ──── a budget of its own
 *        ├──▶ urgent ───┐ three turns of four
 *        └──▶ ordinary ─┴─▶ status computed ──▶ unchanged: nothing
 *               ▲                          └─▶ written ──▶ rests for a second (an agent for a minute)
 *               └──────── failed: retried with backoff ◀─┘
 *
 * All queues are first in, first out. If there are more changes than the budget allows, the intervals of all objects grow evenly.
 *
 * A verdict says whether a new or edited object is accepted. Argo CD, Flux and Helm wait for it, and there is one for each edit: with it the
 * cluster's etcd gets one small write for each write of a user. So verdicts do not wait behind outcomes, which come without end.
 */
export interface StatusWriter {
  /** The object's status may have changed. `urgent`: a condition may change, or a run has failed. After a status with trouble, every change is urgent. */
  touch(ref: ObjectRef, urgent?: boolean): void
  /** The object's status may be another one than what was written last: it is written again, even if nothing has changed. */
  rewrite(ref: ObjectRef): void
  /** How many objects wait for their turn. */
  readonly waiting: number
  /** How many statuses have been written. */
  readonly written: number
  /** Writes until the signal aborts; resolves when none is in flight. */
  run(signal: AbortSignal): Promise<void>
}

export interface StatusOf {
  uid: string
  status: Readonly<Record<string, unknown>>
}

export interface StatusWriterOptions {
  clock: Clock
  log: Log
  /** The limit over any second for all but verdicts, at least 1. Default 20. */
  writesPerSecond?: number
  /** The limit over any second for verdicts, at least 1. Default 100. */
  verdictsPerSecond?: number
  /** Whether no status says yet if the object's present generation is accepted. Default: never. */
  awaitsVerdict?(ref: ObjectRef): boolean
  /** The present status; undefined: there is no such object. */
  statusOf(ref: ObjectRef): StatusOf | undefined | Promise<StatusOf | undefined>
  apply(ref: ObjectRef, uid: string, status: StatusOf['status']): Promise<Written>
  /** For tests: the source of the backoff's jitter. */
  random?: () => number
}

const URGENCIES = ['verdict', 'urgent', 'ordinary'] as const
type Urgency = (typeof URGENCIES)[number]

interface Mark {
  key: string
  ref: ObjectRef
  urgency: Urgency
  /** After a failure: not before this instant, monotonic ms. */
  notBefore: number
  failures: number
}

/** An object's last write. Times are monotonic ms. */
interface Last {
  /** undefined: what the object has now is not known. */
  digest: number | undefined
  at: number
  urgentAt: number
  /** Whether the status was not Ready, or its last run did not succeed. The next change may end that. */
  trouble: boolean
}

const SECOND_MS = 1_000
const AGENT_REST_MS = 60_000
const IN_FLIGHT = 4
/** A write takes up to 100 ms on a busy API server. */
const VERDICTS_IN_FLIGHT = 10
const BACKOFF = { firstMs: 500, longestMs: 60_000 }
/** Every fourth turn is for an ordinary change, however many are urgent. */
const TURNS_PER_ORDINARY = 4

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  return new BudgetedStatusWriter(options)
}

/** Writes that share a budget. */
interface Lane {
  limit: RateLimit
  mostInFlight: number
  inFlight: number
}

class BudgetedStatusWriter implements StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #backoff: Backoff
  readonly #waiting: Readonly<Record<Urgency, Map<string, Mark>>> = {
    verdict: new Map(),
    urgent: new Map(),
    ordinary: new Map(),
  }
  readonly #verdicts: Lane
  readonly #others: Lane
  readonly #last = new Map<string, Last>()
  readonly #inFlight = new Map<string, Promise<void>>()
  #turn = 0
  #written = 0
  #nap: AbortController | undefined

  constructor(options: StatusWriterOptions) {
    this.#options = options
    const { random, writesPerSecond = 20, verdictsPerSecond = 100 } = options
    this.#others = { limit: new RateLimit(writesPerSecond), mostInFlight: IN_FLIGHT, inFlight: 0 }
    const verdicts = new RateLimit(verdictsPerSecond)
    this.#verdicts = { limit: verdicts, mostInFlight: VERDICTS_IN_FLIGHT, inFlight: 0 }
    this.#backoff = createBackoff({ ...BACKOFF, ...(random ? { random } : {}) })
  }

  get waiting(): number {
    const { verdict, urgent, ordinary } = this.#waiting
    return verdict.size + urgent.size + ordinary.size
  }

  get written(): number {
    return this.#written
  }

  touch(ref: ObjectRef, urgent = false): void {
    const key = `${ref.kind}/${ref.namespace}/${ref.name}`
    this.#mark({ key, ref, urgency: this.#urgencyOf(key, ref, urgent), notBefore: 0, failures: 0 })
    this.#nap?.abort()
  }

  #urgencyOf(key: string, ref: ObjectRef, urgent: boolean): Urgency {
    if (this.#options.awaitsVerdict?.(ref)) return 'verdict'
    return urgent || this.#last.get(key)?.trouble ? 'urgent' : 'ordinary'
  }

  rewrite(ref: ObjectRef): void {
    this.#forgetDigest(`${ref.kind}/${ref.namespace}/${ref.name}`)
    this.touch(ref)
  }

  #forgetDigest(key: string): void {
    const last = this.#last.get(key)
    if (last) this.#last.set(key, { ...last, digest: undefined })
  }

  #mark(mark: Mark): void {
    const { key } = mark
    const before = URGENCIES.map(each => this.#waiting[each].get(key)).find(each => each !== undefined)
    // A failed write keeps its backoff, even if the object is touched meanwhile.
    const { notBefore, failures } = before && before.failures > mark.failures ? before : mark
    const urgency = before && isMoreUrgent(before, mark) ? before.urgency : mark.urgency
    if (before && before.urgency !== urgency) this.#waiting[before.urgency].delete(key)
    this.#waiting[urgency].set(key, { ...mark, urgency, notBefore, failures })
  }

  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#nap?.abort()
    signal.addEventListener('abort', onAbort)
    while (!signal.aborted) {
      const now = this.#options.clock.monotonic()
      const next = this.#choose(now)
      if (typeof next === 'number') await this.#sleepUntil(next)
      else this.#begin(next, now)
    }
    signal.removeEventListener('abort', onAbort)
    await Promise.all(this.#inFlight.values())
  }

  /** The mark whose turn it is; otherwise when to choose again. */
  #choose(now: number): Mark | number {
    const { verdict, urgent, ordinary } = this.#waiting
    const first = this.#chooseIn(this.#verdicts, [verdict], now)
    if (typeof first !== 'number') return first
    const isOrdinarysTurn = this.#turn % TURNS_PER_ORDINARY === TURNS_PER_ORDINARY - 1
    const queues = isOrdinarysTurn ? [ordinary, urgent] : [urgent, ordinary]
    const next = this.#chooseIn(this.#others, queues, now)
    return typeof next === 'number' ? Math.min(first, next) : next
  }

  #chooseIn(lane: Lane, queues: readonly Map<string, Mark>[], now: number): Mark | number {
    // The end of a write cuts the nap short.
    if (lane.inFlight >= lane.mostInFlight || queues.every(({ size }) => size === 0)) return Infinity
    const freeAt = lane.limit.freeAt()
    if (now < freeAt) return freeAt
    let soonest = Infinity
    for (const queue of queues) {
      for (const mark of queue.values()) {
        if (this.#inFlight.has(mark.key)) continue
        const at = this.#restsUntil(mark)
        if (at <= now) return mark
        soonest = Math.min(soonest, at)
      }
    }
    return soonest
  }

  /** An urgent change does not wait for the rest after an ordinary write. */
  #restsUntil({ key, ref, urgency, notBefore }: Mark): number {
    const last = this.#last.get(key)
    if (!last) return notBefore
    const rest = ref.kind === 'ShellAgent' ? AGENT_REST_MS : SECOND_MS
    return Math.max(notBefore, urgency === 'ordinary' ? last.at + rest : last.urgentAt + SECOND_MS)
  }

  async #sleepUntil(at: number): Promise<void> {
    const { clock } = this.#options
    const nap = new AbortController()
    this.#nap = nap
    await clock.sleep(at - clock.monotonic(), nap.signal).catch(() => undefined)
    this.#nap = undefined
  }

  #begin(mark: Mark, now: number): void {
    const { key, urgency } = mark
    const lane = urgency === 'verdict' ? this.#verdicts : this.#others
    this.#waiting[urgency].delete(key)
    lane.limit.take(now)
    lane.inFlight++
    if (urgency !== 'verdict') this.#turn++
    const work = this.#write(mark, now)
      .catch((error: unknown) => this.#failed(mark, error))
      .finally(() => {
        lane.inFlight--
        this.#inFlight.delete(key)
        this.#nap?.abort()
      })
    this.#inFlight.set(key, work)
  }

  async #write(mark: Mark, now: number): Promise<void> {
    const { key, ref, urgency } = mark
    const options = this.#options
    const last = this.#last.get(key)
    let computed: StatusOf | undefined
    let digest: number | undefined
    try {
      computed = await options.statusOf(ref)
      digest = computed && digestOf(computed)
    } finally {
      if (digest === undefined || digest === last?.digest) this.#giveBack(urgency, now)
    }
    if (!computed) this.#last.delete(key)
    // Many statuses may be unchanged: other work must get its turn between them.
    if (!computed || digest === undefined || digest === last?.digest) return await options.clock.sleep(0)
    if ((await options.apply(ref, computed.uid, computed.status)) === 'gone') this.#last.delete(key)
    else {
      this.#written++
      const urgentAt = urgency === 'ordinary' ? (last?.urgentAt ?? -Infinity) : now
      this.#last.set(key, { digest, at: now, urgentAt, trouble: isTrouble(computed.status) })
    }
  }

  /** Nothing was written: the budget is free for another object. */
  #giveBack(urgency: Urgency, at: number): void {
    if (urgency === 'verdict') return this.#verdicts.limit.giveBack(at)
    this.#others.limit.giveBack(at)
    this.#turn--
  }

  #failed(mark: Mark, cause: unknown): void {
    const { clock, log } = this.#options
    const { key } = mark
    const failures = mark.failures + 1
    const inMs = this.#backoff(failures)
    // The write may have succeeded all the same: the next one must not be skipped.
    this.#forgetDigest(key)
    this.#mark({ ...mark, failures, notBefore: clock.monotonic() + inMs })
    const facts = { object: key, failures, inMs, error: messageOf(cause) }
    if (cause instanceof Unavailable) log.warn(facts, 'status.unavailable')
    else log.error(facts, 'status.failed')
  }
}

function isMoreUrgent(a: Mark, b: Mark): boolean {
  return URGENCIES.indexOf(a.urgency) < URGENCIES.indexOf(b.urgency)
}

function digestOf({ uid, status }: StatusOf): number {
  return hash53(`${uid} ${JSON.stringify(status)}`)
}

function isTrouble({ conditions }: StatusOf['status']): boolean {
  const all = Array.isArray(conditions) ? (conditions as Condition[]) : []
  return all.some(
    ({ type, status }) => (type === 'Ready' || type === 'LastRunSucceeded') && status === 'False',
  )
}
