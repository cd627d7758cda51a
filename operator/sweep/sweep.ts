import type { JobEntry } from '../../core/records/entry.ts'
import { createBackoff } from '../../platform/backoff.ts'
import { type ComeBack, createQueue, type Queue } from '../../platform/work-queue.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import { applyDecision } from './apply-decision.ts'
import { whyNobody } from './can-run.ts'
import { decideUnclaimed, firstLook, OPEN_FOR } from './decide-unclaimed.ts'
import { Targets } from './targets.ts'

/**
 * The sweep handles scheduled times that no agent has claimed. Each target of a job has one alarm, three seconds after its next time is
 * due. A claim moves the alarm on, so that it fires only for times that no agent claimed.
 */
export interface Sweep {
  /** Sweeps until the signal aborts; resolves when no work is in progress. */
  run(signal: AbortSignal): Promise<void>
}

type SweepDeps = Pick<Context, 'keys' | 'clock' | 'log' | 'mirrors' | 'requests' | 'epoch'> & {
  batcher: Batcher
}

const RETRY_MS = 3_000
const CONCURRENCY = 500

export function createSweep(deps: SweepDeps): Sweep {
  const sweep = new UnclaimedSweep(deps)
  sweep.watch()
  return sweep
}

class UnclaimedSweep implements Sweep {
  readonly #deps: SweepDeps
  readonly #targets: Targets
  readonly #queue: Queue
  /** When each target was last settled, by cell key. */
  readonly #settledAt = new Map<string, number>()
  /** The pool of each target that no living agent may take, by cell key. */
  readonly #parked = new Map<string, string>()

  constructor(deps: SweepDeps) {
    const { clock, log } = deps
    this.#deps = deps
    this.#targets = new Targets(deps)
    this.#queue = createQueue({
      name: 'sweep',
      concurrency: CONCURRENCY,
      clock,
      time: 'wall',
      log,
      // A time that nobody claimed must not wait long for its outcome.
      backoff: createBackoff({ firstMs: 1_000, longestMs: OPEN_FOR }),
      reconcile: cellKey => this.#visit(cellKey),
    })
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#queue.run(signal)
  }

  watch(): void {
    const { mirrors, keys } = this.#deps
    for (const entry of mirrors.jobs.entries()) this.#jobChanged(entry.key, entry.value)
    mirrors.jobs.onChange((key, now) => this.#jobChanged(key, now?.value))
    mirrors.cells.onChange(key => this.#cellChanged(key))
    mirrors.agents.onChange(key => this.#agentsChanged(keys.parseAgent(key)?.pool))
    mirrors.members.onChange(key => this.#agentsChanged(keys.parseMember(key)?.pool))
    mirrors.pools.onChange(key => this.#agentsChanged(keys.parsePool(key)))
  }

  /** Returns when to look again; undefined: when something changes. */
  async #visit(cellKey: string): Promise<ComeBack> {
    const { mirrors, keys, clock, epoch } = this.#deps
    const ref = this.#targets.get(cellKey)
    const entry = ref && mirrors.jobs.get(keys.job(ref))
    // An entry of another epoch first counts from now (jobs/plan.ts), and is put again.
    if (!ref || !entry || entry.value.epoch !== epoch()) return undefined
    const cell = mirrors.cells.get(cellKey)
    const nobody = whyNobody(this.#deps, entry.value, ref.target)
    if (nobody === undefined) this.#parked.delete(cellKey)
    else this.#parked.set(cellKey, ref.pool)
    const decision = decideUnclaimed({
      entry: entry.value,
      ...entryTimes(entry.value),
      cell: cell?.value,
      now: clock.now(),
      living: nobody === undefined,
      nobody,
      settledAt: this.#settledAt.get(cellKey) ?? 0,
    })
    const on = { ref, entry, cell: cell ?? { key: cellKey, mod: 0, value: undefined } }
    const done = await applyDecision(this.#deps, on, decision)
    if (done === 'stale') return { inMs: RETRY_MS }
    if (done === 'settled') this.#settledAt.set(cellKey, clock.now())
    return decision.at === undefined ? undefined : { at: decision.at }
  }

  #jobChanged(jobKey: string, entry: JobEntry | undefined): void {
    const { present, removed } = this.#targets.jobChanged(jobKey, entry)
    for (const cellKey of removed) this.#drop(cellKey)
    if (entry) for (const cellKey of present) this.#arm(cellKey, entry)
  }

  #cellChanged(cellKey: string): void {
    const { mirrors, keys } = this.#deps
    const ref = keys.parseCell(cellKey)
    if (ref?.kind !== 'job') return
    const entry = mirrors.jobs.get(keys.job(ref))
    if (!entry) return
    if (entry.value.command.placement.mode === 'All' && !this.#targets.cellChanged(cellKey, ref))
      return this.#drop(cellKey)
    if (this.#targets.get(cellKey)) this.#arm(cellKey, entry.value)
  }

  /** An agent may now take the open times for which there was none: they are offered soon. */
  #agentsChanged(pool: string | undefined): void {
    const at = this.#deps.clock.now() + OPEN_FOR
    for (const [cellKey, parkedIn] of this.#parked) if (parkedIn === pool) this.#lookAt(cellKey, at)
  }

  #arm(cellKey: string, entry: JobEntry): void {
    const { mirrors, clock } = this.#deps
    const cell = mirrors.cells.get(cellKey)?.value
    this.#lookAt(cellKey, firstLook({ entry, ...entryTimes(entry), cell, now: clock.now() }))
  }

  /** Replaces the alarm of the target, also by a later one. */
  #lookAt(cellKey: string, at: number | undefined): void {
    this.#queue.remove(cellKey)
    if (at !== undefined) this.#queue.addAt(cellKey, at)
  }

  #drop(cellKey: string): void {
    this.#settledAt.delete(cellKey)
    this.#parked.delete(cellKey)
    this.#queue.remove(cellKey)
  }
}
