import { hash53 } from '../../core/hash.ts'
import type { Condition } from '../../core/schema/status.ts'
import { type Backoff, createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { ObjectRef, Written } from '../resources/port.ts'

/**
 * Writes statuses within a budget for all objects together, as each write goes to the cluster's own etcd. Level-triggered: a changed object
 * is marked, and its status is computed when its turn comes. So the newest status wins, and intermediate ones are never written.
 *
 *   touch ──▶ urgent ───┐ three turns of four
 *        └──▶ ordinary ─┴─▶ status computed ──▶ unchanged: nothing
 *               ▲                          └─▶ written ──▶ rests for a second (an agent for a minute)
 *               └──────── failed: retried with backoff ◀─┘
 *
 * Both queues are first in, first out. If there are more changes than the budget allows, the intervals of all objects grow evenly.
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
  /** The limit over any second, at least 1. Default 20. */
  writesPerSecond?: number
  /** The present status; undefined: there is no such object. */
  statusOf(ref: ObjectRef): StatusOf | undefined | Promise<StatusOf | undefined>
  apply(ref: ObjectRef, uid: string, status: StatusOf['status']): Promise<Written>
  /** For tests: the source of the backoff's jitter. */
  random?: () => number
}

interface Mark {
  key: string
  ref: ObjectRef
  urgent: boolean
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
const BACKOFF = { firstMs: 500, longestMs: 60_000 }
/** Every fourth turn is for an ordinary change, however many are urgent. */
const TURNS_PER_ORDINARY = 4

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  return new BudgetedStatusWriter(options)
}

class BudgetedStatusWriter implements StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #budget: number
  readonly #backoff: Backoff
  readonly #urgent = new Map<string, Mark>()
  readonly #ordinary = new Map<string, Mark>()
  readonly #last = new Map<string, Last>()
  readonly #inFlight = new Map<string, Promise<void>>()
  /** When the writes of the last second began. */
  readonly #spent: number[] = []
  #turn = 0
  #written = 0
  #nap: AbortController | undefined

  constructor(options: StatusWriterOptions) {
    this.#options = options
    this.#budget = options.writesPerSecond ?? 20
    const { random } = options
    this.#backoff = createBackoff({ ...BACKOFF, ...(random ? { random } : {}) })
  }

  get waiting(): number {
    return this.#urgent.size + this.#ordinary.size
  }

  get written(): number {
    return this.#written
  }

  touch(ref: ObjectRef, urgent = false): void {
    const key = `${ref.kind}/${ref.namespace}/${ref.name}`
    const trouble = this.#last.get(key)?.trouble ?? false
    this.#mark({ key, ref, urgent: urgent || trouble, notBefore: 0, failures: 0 })
    this.#nap?.abort()
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
    const before = this.#urgent.get(key) ?? this.#ordinary.get(key)
    // A failed write keeps its backoff, even if the object is touched meanwhile.
    const { notBefore, failures } = before && before.failures > mark.failures ? before : mark
    const next = { ...mark, notBefore, failures }
    if (before?.urgent) this.#urgent.set(key, { ...next, urgent: true })
    else if (next.urgent) {
      this.#ordinary.delete(key)
      this.#urgent.set(key, next)
    } else this.#ordinary.set(key, next)
  }

  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#nap?.abort()
    signal.addEventListener('abort', onAbort)
    while (!signal.aborted) {
      const now = this.#options.clock.monotonic()
      const next = this.#inFlight.size < IN_FLIGHT ? this.#choose(now) : Infinity
      if (typeof next === 'number') await this.#sleepUntil(next)
      else this.#begin(next, now)
    }
    signal.removeEventListener('abort', onAbort)
    await Promise.all(this.#inFlight.values())
  }

  /** The mark whose turn it is; otherwise when to choose again. */
  #choose(now: number): Mark | number {
    const [oldest] = this.#spent
    if (this.#spent.length >= this.#budget && oldest !== undefined && now < oldest + SECOND_MS)
      return oldest + SECOND_MS
    const queues = [this.#urgent, this.#ordinary]
    if (this.#turn % TURNS_PER_ORDINARY === TURNS_PER_ORDINARY - 1) queues.reverse()
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
  #restsUntil({ key, ref, urgent, notBefore }: Mark): number {
    const last = this.#last.get(key)
    if (!last) return notBefore
    const rest = ref.kind === 'ShellAgent' ? AGENT_REST_MS : SECOND_MS
    return Math.max(notBefore, urgent ? last.urgentAt + SECOND_MS : last.at + rest)
  }

  async #sleepUntil(at: number): Promise<void> {
    const { clock } = this.#options
    const nap = new AbortController()
    this.#nap = nap
    await clock.sleep(at - clock.monotonic(), nap.signal).catch(() => undefined)
    this.#nap = undefined
  }

  #begin(mark: Mark, now: number): void {
    const { key } = mark
    this.#urgent.delete(key)
    this.#ordinary.delete(key)
    if (this.#spent.length >= this.#budget) this.#spent.shift()
    this.#spent.push(now)
    this.#turn++
    const work = this.#write(mark, now)
      .catch((error: unknown) => this.#failed(mark, error))
      .finally(() => {
        this.#inFlight.delete(key)
        this.#nap?.abort()
      })
    this.#inFlight.set(key, work)
  }

  async #write(mark: Mark, now: number): Promise<void> {
    const { key, ref, urgent } = mark
    const options = this.#options
    const last = this.#last.get(key)
    let computed: StatusOf | undefined
    let digest: number | undefined
    try {
      computed = await options.statusOf(ref)
      digest = computed && digestOf(computed)
    } finally {
      if (digest === undefined || digest === last?.digest) this.#giveBack(now)
    }
    if (!computed) this.#last.delete(key)
    // Many statuses may be unchanged: other work must get its turn between them.
    if (!computed || digest === undefined || digest === last?.digest) return await options.clock.sleep(0)
    if ((await options.apply(ref, computed.uid, computed.status)) === 'gone') this.#last.delete(key)
    else {
      this.#written++
      const urgentAt = urgent ? now : (last?.urgentAt ?? -Infinity)
      this.#last.set(key, { digest, at: now, urgentAt, trouble: isTrouble(computed.status) })
    }
  }

  /** Nothing was written: the budget is free for another object. */
  #giveBack(at: number): void {
    const index = this.#spent.lastIndexOf(at)
    if (index >= 0) this.#spent.splice(index, 1)
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

function digestOf({ uid, status }: StatusOf): number {
  return hash53(`${uid} ${JSON.stringify(status)}`)
}

function isTrouble({ conditions }: StatusOf['status']): boolean {
  const all = Array.isArray(conditions) ? (conditions as Condition[]) : []
  return all.some(
    ({ type, status }) => (type === 'Ready' || type === 'LastRunSucceeded') && status === 'False',
  )
}
