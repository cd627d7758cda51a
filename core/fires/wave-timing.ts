import { hash53 } from '../hash.ts'

/** When an agent looks at a wave (wave.ts), claims a slot, and tries again after a collision. Pure. */

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
