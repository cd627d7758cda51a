import { createHash } from 'node:crypto'
import type { Condition } from '../../core/schema/status.ts'
import { createBackoff } from '../../platform/backoff.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { ObjectRef, Written } from '../resources/port.ts'

/**
 * Statuses are written within a budget for all objects together, as every write is one in the cluster's own etcd. Level-triggered: an
 * object is marked, and when its turn comes it is asked what its status is now, so that the newest state wins and states between are
 * never written.
 *
 *   touch ──▶ urgent ───┐ three turns of four
 *        └──▶ ordinary ─┴─▶ asked for its status ──▶ as it was: nothing
 *               ▲                                └─▶ written ──▶ rests for a second (an agent for a minute)
 *               └────────── failed: later, each time longer ◀─┘
 *
 * Both queues are first in, first out, and who was written goes to the end: with more changes than budget the objects' intervals stretch
 * evenly.
 */
export interface StatusWriter {
  /** Its status may be another. `urgent`: a condition may change, or something failed. Once what was last written is trouble, all is. */
  touch(ref: ObjectRef, urgent?: boolean): void
  /** Objects that wait for their turn. */
  readonly waiting: number
  /** Writes so far. */
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
  /** Over any second, at least 1. Default 20. */
  writesPerSecond?: number
  /** As it is now; undefined: there is no such object. */
  statusOf(ref: ObjectRef): StatusOf | undefined | Promise<StatusOf | undefined>
  apply(ref: ObjectRef, uid: string, status: StatusOf['status']): Promise<Written>
}

interface Mark {
  key: string
  ref: ObjectRef
  urgent: boolean
  /** Failed before: not earlier than this, monotonic ms. */
  notBefore: number
  failures: number
}

/** What is remembered of an object's last write; times are monotonic ms. */
interface Last {
  digest: string
  at: number
  urgentAt: number
  /** Not Ready, or the last run did not succeed: what comes next may be the end of that. */
  trouble: boolean
}

const SECOND = 1_000
const AGENT_REST_MS = 60_000
const IN_FLIGHT = 4
const backoff = createBackoff({ firstMs: 500, longestMs: 60_000 })
/** One turn in so many is an ordinary one, however much is urgent. */
const FAIR = 4

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  return new BudgetedStatusWriter(options)
}

class BudgetedStatusWriter implements StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #budget: number
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

  #mark(mark: Mark): void {
    const { key } = mark
    const before = this.#urgent.get(key) ?? this.#ordinary.get(key)
    // What failed waits out its pause, also when it is touched meanwhile.
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

  /** Whose turn it is; else when to look again. */
  #choose(now: number): Mark | number {
    const [oldest] = this.#spent
    if (this.#spent.length >= this.#budget && oldest !== undefined && now < oldest + SECOND)
      return oldest + SECOND
    const queues = [this.#urgent, this.#ordinary]
    if (this.#turn % FAIR === FAIR - 1) queues.reverse()
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

  /** A change that is urgent does not wait for the rest after an ordinary one. */
  #restsUntil({ key, ref, urgent, notBefore }: Mark): number {
    const last = this.#last.get(key)
    if (!last) return notBefore
    const rest = ref.kind === 'ShellAgent' ? AGENT_REST_MS : SECOND
    return Math.max(notBefore, urgent ? last.urgentAt + SECOND : last.at + rest)
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
    const work = this.#project(mark, now)
      .catch((error: unknown) => this.#failed(mark, error))
      .finally(() => {
        this.#inFlight.delete(key)
        this.#nap?.abort()
      })
    this.#inFlight.set(key, work)
  }

  async #project(mark: Mark, now: number): Promise<void> {
    const { key, ref, urgent } = mark
    const options = this.#options
    const last = this.#last.get(key)
    let asked: StatusOf | undefined
    let digest = ''
    try {
      asked = await options.statusOf(ref)
      digest = asked ? digestOf(asked) : ''
    } finally {
      if (digest === '' || digest === last?.digest) this.#giveBack(now)
    }
    if (!asked) this.#last.delete(key)
    // Many may be as they were: others have to come to their turn between them.
    if (!asked || digest === last?.digest) return await options.clock.sleep(0)
    if ((await options.apply(ref, asked.uid, asked.status)) === 'gone') this.#last.delete(key)
    else {
      this.#written++
      const urgentAt = urgent ? now : (last?.urgentAt ?? -Infinity)
      this.#last.set(key, { digest, at: now, urgentAt, trouble: isTrouble(asked.status) })
    }
  }

  /** Nothing was written: somebody else may. */
  #giveBack(at: number): void {
    const index = this.#spent.lastIndexOf(at)
    if (index >= 0) this.#spent.splice(index, 1)
    this.#turn--
  }

  #failed(mark: Mark, cause: unknown): void {
    const { clock, log } = this.#options
    const { key } = mark
    const failures = mark.failures + 1
    const inMs = backoff(failures)
    // It may have been written all the same.
    const last = this.#last.get(key)
    if (last) this.#last.set(key, { ...last, digest: '' })
    this.#mark({ ...mark, failures, notBefore: clock.monotonic() + inMs })
    const facts = { object: key, failures, inMs, error: messageOf(cause) }
    if (cause instanceof Unavailable) log.warn(facts, 'status.unavailable')
    else log.error(facts, 'status.failed')
  }
}

function digestOf({ uid, status }: StatusOf): string {
  return createHash('sha256')
    .update(`${uid} ${JSON.stringify(status)}`)
    .digest('base64')
}

function isTrouble({ conditions }: StatusOf['status']): boolean {
  const all = Array.isArray(conditions) ? (conditions as Condition[]) : []
  return all.some(
    ({ type, status }) => (type === 'Ready' || type === 'LastRunSucceeded') && status === 'False',
  )
}
