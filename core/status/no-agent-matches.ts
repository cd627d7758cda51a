import type { Placement } from '../records/entry.ts'
import { short } from './size-limit.ts'
import { selectorText } from './target-column.ts'

export const NO_AGENT_MATCHES = 'NoAgentMatches'

const LONGEST_NAMES = 200

/** Says that no agent of the pool matches the target, and what to change. `members`: how many agents the pool has, alive or not. */
export function noAgentMatches(of: {
  pool: string
  placement: Pick<Placement, 'selector' | 'agents'>
  members: number
}): string {
  const { pool, members } = of
  const { selector, agents } = of.placement
  if (members === 0)
    return `pool ${pool} has no agents: add an agent to it, or correct spec.template.spec.target.pool`
  const names = short(agents.join(', '), LONGEST_NAMES)
  if (agents.length > 0 && selector)
    return `no agent of pool ${pool} named ${names} matches the selector ${selectorText(selector)}: correct spec.template.spec.target, or the labels of the agents`
  if (agents.length > 0)
    return `no agent of pool ${pool} is named ${names}: correct spec.template.spec.target.agents, or add such an agent`
  return `no agent of pool ${pool} matches the selector ${selector ? selectorText(selector) : ''}: correct spec.template.spec.target.selector, or label an agent`
}
