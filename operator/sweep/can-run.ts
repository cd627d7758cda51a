import { isTarget } from '../../core/fires/placement.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Context } from '../context.ts'

/** Whether any living agent may claim a time of this target. */
export function canRun(
  { mirrors, keys }: Pick<Context, 'mirrors' | 'keys'>,
  { pool, command: { placement } }: JobEntry,
  target: string,
): boolean {
  const settings = mirrors.pools.get(keys.pool(pool))?.value
  if (settings?.paused || settings?.draining) return false
  const isAble = (agent: string) => {
    const member = mirrors.members.get(keys.member(pool, agent))?.value
    return (
      member !== undefined &&
      !member.cordoned &&
      isTarget(placement, agent, member) &&
      mirrors.sessionOf(pool, agent) !== undefined
    )
  }
  return placement.mode === 'All'
    ? isAble(target)
    : mirrors.membersOf(pool).some(({ agent }) => isAble(agent))
}
