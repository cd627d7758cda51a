import { hash53 } from '../hash.ts'
import { ANYWHERE } from '../keys.ts'
import type { LabelSelector, Placement } from '../records/entry.ts'
import type { Member } from '../records/state.ts'

/** Where a fire may run, and which agent claims first. Pure: agents that see the same members get the same answer. */

/** Kubernetes' semantics of matchLabels and matchExpressions (In, NotIn, Exists, DoesNotExist); an unknown operator matches nothing. */
export function selects(selector: LabelSelector | undefined, labels: Record<string, string>): boolean {
  if (!selector) return true
  const exact = Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value)
  return exact && selector.matchExpressions.every(expression => matches(expression, labels))
}

function matches(
  { key, operator, values }: LabelSelector['matchExpressions'][number],
  labels: Record<string, string>,
): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}

/** Whether the placement may run on this member, alive or not. */
export function isTarget(placement: Placement, agent: string, member: Member): boolean {
  if (placement.agents.length > 0 && !placement.agents.includes(agent)) return false
  return selects(placement.selector, member.labels)
}

/** The targets that a placement defines itself: one, or one for each shard. In mode All the targets are the selected members. */
export function ownTargets({ mode, shards = 1 }: Pick<Placement, 'mode' | 'shards'>): readonly string[] {
  if (mode === 'All') return []
  return mode === 'One' ? [ANYWHERE] : Array.from({ length: shards }, (_, index) => String(index))
}

/** The key by which agents are ranked for a target. Each shard has its own key, so that shards spread over the agents. */
export function rankedBy(uid: string, { mode }: Pick<Placement, 'mode'>, target: string): string {
  return mode === 'Shards' ? `${uid}/${target}` : uid
}

/**
 * Rendezvous hashing (highest random weight). An agent's weight for a job does not depend on other agents, so an agent that joins or
 * leaves moves only the jobs that it wins. The first in the answer has rank 0.
 */
export function rank(uid: string, agents: Iterable<string>): string[] {
  return [...agents]
    .map(agent => ({ agent, weight: hash53(`${uid}\n${agent}`) }))
    .sort((a, b) => b.weight - a.weight || (a.agent < b.agent ? -1 : 1))
    .map(({ agent }) => agent)
}

/** The rank of one agent, or -1 if it is not among them. It does not sort, because every agent asks this for every job. */
export function rankOf(uid: string, self: string, agents: Iterable<string>): number {
  const mine = hash53(`${uid}\n${self}`)
  let better = 0
  let present = false
  for (const agent of agents) {
    if (agent === self) {
      present = true
      continue
    }
    const weight = hash53(`${uid}\n${agent}`)
    if (weight > mine || (weight === mine && agent < self)) better++
  }
  return present ? better : -1
}
