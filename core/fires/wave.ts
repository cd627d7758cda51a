import { type CellRef, WAVE } from '../keys.ts'
import type { Placement } from '../records/entry.ts'
import type { Active, Cell } from '../records/state.ts'

/**
 * Mode All with `maxParallel`: one cell of the job, the wave's cell, lists the runs that hold a slot. Pure.
 *
 *   no free slot ──▶ the time waits in its target's cell ──▶ its agent polls the wave: often if few waves are ahead of it
 *   free slot    ──▶ claimed together with the slot, in one transaction ──▶ the transaction that ends the run frees the slot
 *
 * Agents take turns in rank order, starting behind the agent that took the last slot. So every agent gets a turn, even if a wave is
 * slower than the schedule. The turn only says when an agent looks (wave-timing.ts); an agent that finds a free slot takes it.
 */

type Parallel = Pick<Placement, 'mode' | 'maxParallel'>

export function goesInWaves({ mode, maxParallel }: Parallel): boolean {
  return mode === 'All' && maxParallel !== undefined
}

/**
 * How many runs may go on at a time; undefined: no limit. A percentage counts the members that the job selects, alive or not. It is
 * rounded down, as a Deployment's maxUnavailable is, and is at least 1.
 */
export function slotsOf(placement: Parallel, matched: number): number | undefined {
  const { maxParallel } = placement
  if (maxParallel === undefined || placement.mode !== 'All') return undefined
  const slots =
    typeof maxParallel === 'number' ? maxParallel : (Number.parseInt(maxParallel, 10) * matched) / 100
  return Math.max(1, Math.floor(slots))
}

export function isFull(wave: Cell | undefined, slots: number): boolean {
  return (wave?.active.length ?? 0) >= slots
}

/** The wave's cell after this run has taken a slot. */
export function holding(
  wave: Cell | undefined,
  by: { uid: string; agent: string; run: string; attempt: number },
): Cell {
  const { uid, agent, run, attempt } = by
  const others = (wave?.active ?? []).filter(each => each.run !== run)
  return { uid, lastFire: 0, active: [...others, { run, agent, attempt }], turn: agent }
}

/** The wave in which a run holds a slot. A ShellRun of a job shares the job's wave. */
export function waveOf(
  pool: string,
  {
    kind,
    namespace,
    name,
    jobName,
  }: Pick<Active, 'kind' | 'namespace' | 'name'> & { jobName?: string | undefined },
): CellRef {
  return jobName
    ? { pool, kind: 'job', namespace, name: jobName, target: WAVE }
    : { pool, kind, namespace, name, target: WAVE }
}
