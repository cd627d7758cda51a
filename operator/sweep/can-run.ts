import { isTarget } from '../../core/fires/placement.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Context } from '../context.ts'

/** Why no agent may claim a time: one word, which becomes the reason of the times that are missed. */
export type NobodyThere = 'PoolPaused' | 'NoAgentMatches' | 'AgentCordoned' | 'NoAgentConnected'

/** undefined: a living agent may claim a time of this target. */
export function whyNobody(
  { mirrors, keys }: Pick<Context, 'mirrors' | 'keys'>,
  { pool, command: { placement } }: JobEntry,
  target: string,
): NobodyThere | undefined {
  const settings = mirrors.pools.get(keys.pool(pool))?.value
  if (settings?.paused || settings?.draining) return 'PoolPaused'
  const matching = mirrors
    .membersOf(pool)
    .filter(({ agent }) => placement.mode !== 'All' || agent === target)
    .filter(({ agent, member }) => isTarget(placement, agent, member))
  if (matching.length === 0) return 'NoAgentMatches'
  const open = matching.filter(({ member }) => !member.cordoned)
  if (open.length === 0) return 'AgentCordoned'
  return open.some(({ agent }) => mirrors.sessionOf(pool, agent) !== undefined)
    ? undefined
    : 'NoAgentConnected'
}
