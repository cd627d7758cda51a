import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Entry } from './entry.ts'
import { DueQueue } from './queue.ts'
import { identityOf } from './users.ts'

/** A sleep may end late by so much: the last of it is waited for turn by turn. */
const TIMER_SLACK_MS = 2
/** The wall clock may be stepped: so often it is looked at. */
const LONGEST_SLEEP_MS = 1_000

/**
 * Armed runs until their instant. They are started one by one, soonest first, with a turn of the event loop after each, so that
 * the socket, the timers and the fences go on during a burst.
 */
export class DueRuns {
  readonly #clock: Clock
  readonly #queue = new DueQueue<Entry>()
  #wake = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A run whose user has to be looked up joins when that is known, so that it keeps nobody waiting. */
  add(entries: readonly Entry[]) {
    const isOwnUser = ({ arm }: Entry) => arm?.user === undefined && arm?.group === undefined
    this.#enqueue(entries.filter(isOwnUser))
    for (const entry of entries) if (!isOwnUser(entry)) void this.#identify(entry)
  }

  /** Calls `start` with each run when it is due, never before, until the signal aborts. Ended ones are passed over. */
  async work(start: (entry: Entry) => Promise<void>, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake.abort(), { once: true })
    while (!signal.aborted) {
      this.#wake = new AbortController()
      const entry = this.#queue.first(candidate => !candidate.isEnding && !candidate.live)
      const wait = entry ? entry.at - this.#clock.now() : LONGEST_SLEEP_MS
      if (entry && wait <= 0) {
        this.#queue.dropFirst()
        await start(entry)
      }
      if (wait <= TIMER_SLACK_MS) await new Promise(resolve => setImmediate(resolve))
      else await this.#sleep(Math.min(wait, LONGEST_SLEEP_MS) - TIMER_SLACK_MS)
    }
  }

  async #identify(entry: Entry) {
    entry.identity = await identityOf(entry.arm?.user, entry.arm?.group).catch(error => ({
      reason: 'NoSuchUser' as const,
      message: messageOf(error),
    }))
    this.#enqueue([entry])
  }

  #enqueue(entries: readonly Entry[]) {
    this.#queue.add(entries)
    this.#wake.abort()
  }

  #sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.#wake.signal).catch(() => {})
  }
}
