import type { Entry } from '../../core/records/entry.ts'
import { type Clock, deadline } from '../../platform/clock.ts'
import { createSemaphore } from '../../platform/semaphore.ts'
import { type Container, type ContainerSettings, selection } from '../runs/container-command.ts'
import { askContainerHelper } from './ask-container-helper.ts'

/** A time that an agent may claim, unless another agent has the container. */
export interface Question {
  /** The key of the job's or ShellRun's cell. */
  what: string
  entry: Entry
  /** When it is due, Unix ms. */
  from: number
  rank: number
  /** How many other agents may claim it. */
  others: number
  signal: AbortSignal
}

/** By then ranks 1 and 2 have looked, and after 3 s the operator has offered it. Under `catchUp: None` a time is open for 5 s. */
const NOBODY_HAS_IT_AFTER_MS = 4_500
/** Counted from the question, also while it waits for a slot. */
const ANSWER_WITHIN_MS = 5_000
/** Each question is a process, and the runs that start at that moment need the processor too. */
const AT_ONCE = 4
/** Pods come and go, but a job that is due every second need not ask each time. */
const KEPT_FOR_MS = 1_500
const LOOK_EVERY_MS = 1_000
const FORGOTTEN_AFTER_MS = 60_000

/**
 * Whether this machine has the container of a job. The ranking does not know that. So an agent without it declines, and another agent claims:
 * ranks 1 and 2 a second later, the others when the operator offers the time. If no agent has it, rank 0 claims in the end, so that the time
 * ends as ContainerNotFound (docs/adr/0008-decline-without-container.md).
 */
export class ContainerPresence {
  readonly #settings: ContainerSettings
  readonly #clock: Clock
  readonly #slots = createSemaphore(AT_ONCE)
  /** Answers and questions in flight, by request. `at`: when the answer came. */
  readonly #known = new Map<string, { at: number | undefined; answer: Promise<boolean> }>()
  /** What has no container here: since when that is known, and when it was last asked. */
  readonly #absent = new Map<string, { since: number; asked: number }>()

  constructor(settings: ContainerSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
  }

  /** undefined: this agent may claim. Else when to look again, Unix ms. Rejects only when the signal aborts. */
  async declinesUntil(question: Question): Promise<number | undefined> {
    const { what, entry, from, rank, others, signal } = question
    const { container, placement } = entry.command
    // In All each agent is a target of its own, with or without the container.
    if (!container || others === 0 || placement.mode === 'All') return undefined
    const end = Math.max(this.#absentSince(what), from) + NOBODY_HAS_IT_AFTER_MS
    if (rank === 0 && this.#clock.now() >= end) return undefined
    const isHere = await this.#has(container, entry.namespace, signal)
    signal.throwIfAborted()
    if (isHere) {
      this.#absent.delete(what)
      return undefined
    }
    return rank === 0 ? end : this.#clock.now() + LOOK_EVERY_MS
  }

  /** An agent that comes late to a time still waits for the others; but for each time no longer than from when it is due. */
  #absentSince(what: string): number {
    const now = this.#clock.now()
    for (const [other, { asked }] of this.#absent)
      if (asked < now - FORGOTTEN_AFTER_MS) this.#absent.delete(other)
    const since = this.#absent.get(what)?.since ?? now
    this.#absent.set(what, { since, asked: now })
    return since
  }

  #has(container: Container, namespace: string, signal: AbortSignal): Promise<boolean> {
    const { helper } = this.#settings
    if (helper === undefined) return Promise.resolve(false)
    const request = JSON.stringify(selection(container, namespace, this.#settings))
    const oldest = this.#clock.monotonic() - KEPT_FOR_MS
    for (const [key, { at }] of this.#known) if (at !== undefined && at < oldest) this.#known.delete(key)
    const known = this.#known.get(request)
    if (known) return known.answer
    const asked = { at: undefined as number | undefined, answer: this.#find(helper, request, signal) }
    this.#known.set(request, asked)
    void asked.answer.then(() => {
      asked.at = this.#clock.monotonic()
      // The question was cut short: the next one must not get its answer.
      if (signal.aborted) this.#known.delete(request)
    })
    return asked.answer
  }

  /** A question that fails counts as no: an agent that has the container for sure is the better one. */
  async #find(helper: string, request: string, signal: AbortSignal): Promise<boolean> {
    const limit = deadline(ANSWER_WITHIN_MS, signal)
    try {
      return await this.#slots.run(() => askContainerHelper(helper, request, limit.signal), limit.signal)
    } catch {
      return false
    } finally {
      limit.done()
    }
  }
}
