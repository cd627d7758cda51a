import { hash53 } from '../hash.ts'
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
 * slower than the schedule. The turn only says when an agent looks; an agent that finds a free slot takes it.
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

/** The target cells that count an attempt: its own, and for a ShellRun with jobRef also the job's. */
export function targetCellsOf(pool: string, active: Active): CellRef[] {
  const { kind, namespace, name, target, jobName } = active
  return [
    { pool, kind, namespace, name, target },
    ...(jobName ? [{ pool, kind: 'job' as const, namespace, name: jobName, target }] : []),
  ]
}

/** Every cell that counts an attempt, its wave's included. */
export function cellsOf(pool: string, active: Active): CellRef[] {
  return [...targetCellsOf(pool, active), ...(active.wave ? [waveOf(pool, active)] : [])]
}

/** How many agents have their turn before this one. `ranked`: the agents that may run it. `last`: the one that took the last slot. */
export function queuePosition(ranked: readonly string[], agent: string, last: string | undefined): number {
  const at = ranked.indexOf(agent)
  const from = last === undefined ? -1 : ranked.indexOf(last)
  return at < 0 ? ranked.length : (at - from - 1 + ranked.length) % ranked.length
}

const POLL_LEAST_MS = 1_000
const POLL_MOST_MS = 5_000

/**
 * How long an agent that waits for a slot pauses before it looks again, ms: half a second for each wave ahead of its own, within bounds.
 * A jitter that is constant for each agent spreads them.
 */
export function pollAfter(turn: number, slots: number, of: { uid: string; agent: string }): number {
  const waves = turn / slots
  const jitter = 0.75 + (hash53(`${of.uid}\n${of.agent}\npoll`) % 1_000) / 2_000
  return Math.round(Math.min(POLL_MOST_MS, Math.max(POLL_LEAST_MS, waves * 500)) * jitter)
}

/** Every agent looks within this time after the instant, because a time unclaimed for 5 s is a catch-up; ms. */
const BEHIND_MS = 1_500
const BEHIND_STEP_MS = 20

/**
 * When an agent claims a time that does not wait, relative to its instant, ms. Agents whose turn it is claim one after another, from
 * the lead on. The others follow the instant at even distances. So few claims collide. `pace`: how long one claim takes, ms.
 */
export function claimAfter(by: {
  turn: number
  free: number
  agents: number
  lead: number
  pace: number
}): number {
  const { turn, free, agents, lead, pace } = by
  if (turn < free) return turn * Math.min(pace, (lead + BEHIND_MS) / free) - lead
  return turn * Math.min(BEHIND_STEP_MS, BEHIND_MS / Math.max(1, agents))
}

/** The pause after a claim lost the comparison of the wave's cell, ms: agents that may have collided retry one after another. `chance`: from 0 to 1. */
export function claimAgainAfter(by: { turn: number; free: number; pace: number; chance: number }): number {
  return (Math.min(by.turn, by.free) + by.chance) * by.pace
}

/** The pause after freeing a slot lost that comparison, ms. All holders may be ending now, in any order. It grows with each of the `tries`. */
export function endAgainAfter(by: { holders: number; tries: number; pace: number; chance: number }): number {
  return by.chance * by.holders * by.pace * (1 + Math.min(by.tries, 3) / 2)
}

const PACE_LEAST_MS = 5
const PACE_MOST_MS = 60
export const FIRST_PACE_MS = 10

/** How long a look at a wave and the claim after it take, ms: a moving average, given that the latest look took `look`. */
export function paceOf(before: number, look: number): number {
  return Math.min(PACE_MOST_MS, Math.max(PACE_LEAST_MS, 0.7 * before + 0.3 * 2 * look))
}
