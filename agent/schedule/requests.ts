import { ANYWHERE } from '../../core/keys.ts'
import type { Request } from '../../core/records/state.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { type ComeBack, createQueue, type Queue } from '../../platform/work-queue.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { claimShellRun } from './claim-shell-run.ts'
import type { MainLoop } from './main-loop.ts'

/**
 * Requests of the operator: claim a ShellRun now, take an offered time, kill a run. The agents of a target look at a request one after
 * another, in the order of their ranks, so that rank 0 usually has no competitor.
 */
const RANK_DELAY_MS = 1_000
/** The same where agents are likely to decline: offered times, and runs in containers. */
const QUICK_RANK_DELAY_MS = 50
const POLL_MS = 1_000

export class Requests {
  readonly #context: Context
  readonly #of: { runs: Runs; fires: MainLoop; mayClaim(): boolean }
  readonly #queue: Queue

  constructor(context: Context, of: { runs: Runs; fires: MainLoop; mayClaim(): boolean }) {
    const { clock, log } = context
    this.#context = context
    this.#of = of
    this.#queue = createQueue({
      name: 'requests',
      concurrency: Number.POSITIVE_INFINITY,
      clock,
      log,
      reconcile: key => this.#visit(key),
    })
  }

  /** Works until the session ends. */
  async run(): Promise<void> {
    this.lookAgain()
    await this.#queue.run(this.#context.signal)
  }

  onChange(key: string, now: Versioned<Request> | undefined): void {
    const delay = now && this.#delayOf(now)
    if (delay === undefined) this.#queue.remove(key)
    else if (delay === 0) this.#queue.add(key)
    else this.#queue.addAfter(key, delay)
  }

  /** Eligibility has changed: requests of other agents may be mine now. Requests that already wait for their instant keep it. */
  lookAgain(): void {
    for (const request of this.#context.world.requests.entries()) {
      const delay = this.#delayOf(request)
      if (delay === undefined || delay === 0 || !this.#queue.has(request.key))
        this.onChange(request.key, request)
    }
  }

  async #visit(key: string): Promise<ComeBack> {
    const { world, log, signal } = this.#context
    const request = world.requests.get(key)
    // Eligibility may have changed since the request was queued.
    if (!request || this.#delayOf(request) === undefined) return undefined
    try {
      return await this.#answer(request)
    } catch (error) {
      if (signal.aborted) return undefined
      const level = error instanceof Unavailable ? 'warn' : 'error'
      log[level]({ key, error: messageOf(error) }, 'request.failed')
      return { inMs: POLL_MS }
    }
  }

  async #answer({ key, mod, value }: Versioned<Request>): Promise<ComeBack> {
    const { keys, pool } = this.#context
    const { runs, fires, mayClaim } = this.#of
    switch (value.kind) {
      case 'kill':
        runs.kill(value.run, value.reason)
        return undefined
      case 'offer':
        // The offer stands: an agent without room now may have some before it expires.
        if (!mayClaim()) return { inMs: POLL_MS }
        fires.offer(keys.job({ pool, namespace: value.namespace, name: value.name }), value.target)
        return undefined
      case 'run': {
        const inMs = await claimShellRun(this.#context, this.#of, { key, mod, value })
        return inMs === undefined ? undefined : { inMs }
      }
      default:
        return value satisfies never
    }
  }

  /** When this agent looks at a request, ms after it came. undefined: never. */
  #delayOf({ value }: Versioned<Request>): number | undefined {
    const { keys, world, pool, agent } = this.#context
    if (value.kind === 'kill') return 0
    const ref = { pool, namespace: value.namespace, name: value.name }
    const entry = value.kind === 'run' ? world.runs.get(keys.run(ref)) : world.jobs.get(keys.job(ref))
    if (!entry) return RANK_DELAY_MS
    const { container, placement } = entry.value.command
    const rank = world.rankedAgents(entry.value, value.target).indexOf(agent)
    if (rank < 0) return undefined
    if (value.target !== ANYWHERE && placement.mode === 'All') return value.target === agent ? 0 : undefined
    const isQuick = value.kind === 'offer' || container !== undefined
    return rank * (isQuick ? QUICK_RANK_DELAY_MS : RANK_DELAY_MS)
  }
}
