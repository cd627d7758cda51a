import { hash53 } from '../hash.ts'
import { type CellRef, WAVE } from '../keys.ts'
import type { Placement } from '../records/entry.ts'
import type { Active, Cell } from '../records/state.ts'

/**
 * Mode All with `maxParallel`: one cell of the job holds who has a place. Pure.
 *
 *   no place ──▶ the time waits in its target's cell ──▶ looks at the wave: soon if few waves go before it, seldom if many
 *   place    ──▶ claimed and taken in one transaction ──▶ given back by whoever ends the run for good
 *
 * Agents take turns in a ring, in rank order, beginning behind whoever took the last place: so a wave that is slower than its schedule
 * still comes to everybody. The turn only says who looks when; anyone who finds a place free takes it.
 */

type Parallel = Pick<Placement, 'mode' | 'maxParallel'>

export function goesInWaves({ mode, maxParallel }: Parallel): boolean {
  return mode === 'All' && maxParallel !== undefined
}

/**
 * How many may run at a time; undefined: all. A percentage is of the members that the job selects, alive or not, rounded down as the
 * maxUnavailable of a Deployment is, and at least 1.
 */
export function slotsOf(placement: Parallel, matched: number): number | undefined {
  const { maxParallel } = placement
  if (maxParallel === undefined || placement.mode !== 'All') return undefined
  const places =
    typeof maxParallel === 'number' ? maxParallel : (Number.parseInt(maxParallel, 10) * matched) / 100
  return Math.max(1, Math.floor(places))
}

export function isFull(wave: Cell | undefined, places: number): boolean {
  return (wave?.active.length ?? 0) >= places
}

/** The wave with one place more taken. */
export function holding(
  wave: Cell | undefined,
  by: { uid: string; agent: string; run: string; attempt: number },
): Cell {
  const { uid, agent, run, attempt } = by
  const others = (wave?.active ?? []).filter(each => each.run !== run)
  return { uid, lastFire: 0, active: [...others, { run, agent, attempt }], turn: agent }
}

/** The wave that a run holds a place of: a ShellRun of a job shares the job's. */
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

/** The cells of the target of an attempt that count it: its own; with jobRef the job's. */
export function targetCellsOf(pool: string, active: Active): CellRef[] {
  const { kind, namespace, name, target, jobName } = active
  return [
    { pool, kind, namespace, name, target },
    ...(jobName ? [{ pool, kind: 'job' as const, namespace, name: jobName, target }] : []),
  ]
}

/** All the cells that count an attempt, its wave among them. */
export function cellsOf(pool: string, active: Active): CellRef[] {
  return [...targetCellsOf(pool, active), ...(active.wave ? [waveOf(pool, active)] : [])]
}

/** How many agents are before this one, of those that may run it in rank order. */
export function queuePosition(ranked: readonly string[], agent: string, last: string | undefined): number {
  const at = ranked.indexOf(agent)
  const from = last === undefined ? -1 : ranked.indexOf(last)
  return at < 0 ? ranked.length : (at - from - 1 + ranked.length) % ranked.length
}

const POLL_LEAST_MS = 1_000
const POLL_MOST_MS = 5_000

/** When who waits for a place looks again, ms: half a second for each wave before its own, within bounds, always the same for an agent. */
export function pollAfter(turn: number, places: number, of: { uid: string; agent: string }): number {
  const waves = turn / places
  const apart = 0.75 + (hash53(`${of.uid}\n${of.agent}\npoll`) % 1_000) / 2_000
  return Math.round(Math.min(POLL_MOST_MS, Math.max(POLL_LEAST_MS, waves * 500)) * apart)
}

/** Everybody looks within this after the instant: a time that nobody claims for 5 s is a catch-up. */
const BEHIND_MS = 1_500
const BEHIND_STEP_MS = 20

/**
 * When a time that nobody holds back is to be claimed, relative to its instant, ms: those whose turn it is one after another from the
 * lead on, the others as far apart behind it, so that few meet. `pace`: what one of them takes, ms.
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

/** When who has lost a comparison of a wave tries again, ms: those who may have met there one after another. `chance`: from 0 to 1. */
export function claimAgainAfter(by: { turn: number; free: number; pace: number; chance: number }): number {
  return (Math.min(by.turn, by.free) + by.chance) * by.pace
}

/** The same of who gives a place back: all holders may be ending now, and have no order. Wider with each of its `tries`. */
export function endAgainAfter(by: { holders: number; tries: number; pace: number; chance: number }): number {
  return by.chance * by.holders * by.pace * (1 + Math.min(by.tries, 3) / 2)
}

const PACE_LEAST_MS = 5
const PACE_MOST_MS = 60
export const FIRST_PACE_MS = 10

/** What a look at a wave and the claim after it take, ms, after another look has taken `look`. */
export function paceOf(before: number, look: number): number {
  return Math.min(PACE_MOST_MS, Math.max(PACE_LEAST_MS, 0.7 * before + 0.3 * 2 * look))
}
