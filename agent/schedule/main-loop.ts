import { messageOf, Unavailable } from '../../platform/errors.ts'
import { type ComeBack, createQueue, type Queue } from '../../platform/work-queue.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { type Bursts, createBursts } from './burst.ts'
import { claimFire } from './claim-fire.ts'
import { decideTurn, declinesUntil, lookAgainAt } from './decide-turn.ts'
import { settleTimes } from './settle-times.ts'
import { createTimetables, type Slot, type Timetables, type Turn } from './timetables.ts'

/**
 * The agent's main loop, for each job (in Shards, for each shard):
 *
 *   next time ─▶ wait ─▶ decide ─▶ claim ─▶ arm ─▶ next time …
 *                          └─▶ settle, or wait for a run to end ─▶ next time …
 *
 * The queue waits until the next instant at which there is something to decide, and never visits a slot twice at a time. When that is
 * depends on the agent's rank for the target:
 *
 *   rank 0 (and each target of All)   T + jitter - lead    claims ahead from the cell that it remembers; in a burst even earlier
 *   ranks 1 and 2                     T + jitter + 1, 2 s  read the cell and claim what is still open
 *   other ranks                       never; the operator offers what is open after 3 s
 */

const LEAD_MS = 500
const RANK_DELAY_MS = 1_000
/** Agents of these ranks look by themselves. */
const LOOKING_RANKS = 3
const RETRY_MS = 1_000
/** Jobs that are queued in one turn of the event loop when all are. */
const JOBS_A_TURN = 200

export class MainLoop {
  readonly #context: Context
  readonly #of: { runs: Runs; mayClaim(): boolean }
  readonly #timetables: Timetables
  readonly #bursts: Bursts = createBursts()
  readonly #queue: Queue
  /** Slots with an open time that the operator has offered. */
  readonly #offered = new Set<Slot>()
  #isSweeping = false
  #sweepAgain = false

  constructor(context: Context, of: { runs: Runs; mayClaim(): boolean }) {
    const { clock, log } = context
    this.#context = context
    this.#of = of
    this.#timetables = createTimetables(context)
    this.#queue = createQueue({
      name: 'fires',
      concurrency: Number.POSITIVE_INFINITY,
      clock,
      time: 'wall',
      log,
      reconcile: slot => this.#visit(slot),
    })
  }

  /** Works until the session ends. */
  async run(): Promise<void> {
    this.wakeAll()
    await this.#queue.run(this.#context.signal)
  }

  /** The job, a cell of it, or its eligible agents have changed. */
  wake(jobKey: string): void {
    for (const slot of this.#timetables.slotsOf(jobKey)) this.#queue.add(slot)
  }

  /** Eligibility has changed. Queues every job, some in each turn of the event loop, so that keepalives and due times do not wait. */
  wakeAll(): void {
    this.#sweepAgain = true
    if (!this.#isSweeping) void this.#sweep()
  }

  /** The operator offers an open time to any agent with room. */
  offer(jobKey: string, target: string): void {
    const slot = this.#timetables.slotAt(jobKey, target)
    this.#offered.add(slot)
    this.#queue.add(slot)
  }

  async #visit(slot: Slot): Promise<ComeBack> {
    const lead = LEAD_MS + this.#bursts.leave(slot)
    const isOffered = this.#offered.delete(slot)
    const turn = this.#timetables.turnOf(slot)
    if (!turn || (turn.rank >= LOOKING_RANKS && !isOffered)) return undefined
    if (!this.#of.mayClaim()) return this.#retry()
    try {
      if (isOffered) return await this.#visitOffered(turn)
      if (turn.rank > 0) return await this.#visitAsSubstitute(turn)
      const at = await this.#act(turn, lead)
      return at === undefined
        ? undefined
        : { at: at - this.#bursts.join(slot, at, this.#context.clock.now()) }
    } catch (error) {
      return this.#failed(turn, error)
    }
  }

  /** The cell that this agent remembers may be as old as its session, and an offer is looked at only once: it is read. */
  async #visitOffered(turn: Turn): Promise<ComeBack> {
    this.#context.cells.forget(this.#context.keys.cell(turn.ref))
    const at = await this.#act(turn, turn.rank > 0 ? 0 : LEAD_MS)
    return at === undefined ? undefined : { at }
  }

  /** Ranks 1 and 2: claims what was due their delay ago and is still open. Else waits until the next such moment. */
  async #visitAsSubstitute(turn: Turn): Promise<ComeBack> {
    const { clock, cells, keys } = this.#context
    const delay = turn.offset + turn.rank * RANK_DELAY_MS
    const dueUpTo = clock.now() - delay
    const last = turn.times.previous(dueUpTo + 1)
    if (last !== undefined && last > turn.entry.value.scheduleChangedAt) {
      const { value: cell } = await cells.read(keys.cell(turn.ref))
      const isOpen = (cell?.lastFire ?? 0) < last || cell?.waiting !== undefined
      const at = isOpen ? await this.#act(turn, 0) : undefined
      if (at !== undefined && at <= clock.now()) return { at }
    }
    const next = turn.times.next(dueUpTo)
    return next === undefined ? undefined : { at: next + delay }
  }

  /** Decides about the target's times, and acts. Answers when there is something to decide again; undefined: after a change. */
  async #act(turn: Turn, lead: number): Promise<number | undefined> {
    const { clock, cells } = this.#context
    const seen = await decideTurn(this.#context, turn, lead)
    if (!seen) return clock.now() + RETRY_MS
    const { cell, decision, wave } = seen
    switch (decision.kind) {
      case 'idle':
        return lookAgainAt(this.#context, turn, { cell, at: decision.at, wave })
      case 'claim': {
        const until = await declinesUntil(this.#context, turn, decision.time)
        if (until === undefined)
          return clock.now() + (await claimFire(this.#context, turn, { ...this.#of, cell, decision, wave }))
        // Another agent is about to change the cell.
        cells.forget(cell.key)
        return until
      }
      case 'wait':
      case 'settle':
        return clock.now() + (await settleTimes(this.#context, turn, { cell, decision }))
      default:
        return decision satisfies never
    }
  }

  #failed({ ref }: Turn, error: unknown): ComeBack {
    const { cells, keys, log, signal } = this.#context
    if (signal.aborted) return undefined
    const key = keys.cell(ref)
    const stack = error instanceof Error ? error.stack : undefined
    if (error instanceof Unavailable) log.warn({ cell: key, error: messageOf(error) }, 'claim.unclear')
    else log.error({ cell: key, error: messageOf(error), stack }, 'claim.failed')
    cells.forget(key)
    return this.#retry()
  }

  #retry(): ComeBack {
    return { at: this.#context.clock.now() + RETRY_MS }
  }

  async #sweep(): Promise<void> {
    const { world, signal } = this.#context
    this.#isSweeping = true
    // A change during a sweep may concern jobs that it has passed.
    while (this.#sweepAgain && !signal.aborted) {
      this.#sweepAgain = false
      let count = 0
      for (const { key } of world.jobs.entries()) {
        this.wake(key)
        if (++count % JOBS_A_TURN === 0) await new Promise(setImmediate)
        if (signal.aborted) break
      }
    }
    this.#isSweeping = false
  }
}
