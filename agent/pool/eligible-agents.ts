import { isTarget, rank, rankedBy } from '../../core/fires/placement.ts'
import type { Keys } from '../../core/keys.ts'
import type { Entry, Placement } from '../../core/records/entry.ts'
import type { Member, Registration } from '../../core/records/state.ts'
import type { Mirror } from '../../store/mirror.ts'

/** Which agents of the pool may run an entry. */
export interface EligibleAgents {
  /** The living, uncordoned agents that the entry's placement selects, in no order. */
  eligibleAgents(entry: Pick<Entry, 'command'>): readonly string[]
  /** The same agents, in rank order for this target of the entry. */
  rankedAgents(entry: Pick<Entry, 'uid' | 'command'>, target: string): string[]
  /** How many members the placement selects, alive or not. */
  countTargets(placement: Placement): number
  /** Calls back when the eligible agents may have changed. */
  onMembership(listener: () => void): void
}

interface Membership {
  keys: Keys
  pool: string
  members: Mirror<Member>
  agents: Mirror<Registration & { session: number }>
}

export function createEligibleAgents(membership: Membership): EligibleAgents {
  const { keys, members, agents } = membership
  const listeners: (() => void)[] = []
  /** By placement, which thousands of jobs share. Ranks are not cached: there is one for each job, and they are cheap to compute. */
  let cache = new WeakMap<Placement, readonly string[]>()
  const ableOf = (placement: Placement): readonly string[] => {
    const able = cache.get(placement) ?? [...ableAgents(membership, placement)]
    cache.set(placement, able)
    return able
  }
  const onChange = () => {
    cache = new WeakMap()
    for (const listener of listeners) listener()
  }
  members.onChange(onChange)
  // Other changes of a registration do not change who is alive.
  agents.onChange((_, now, before) => {
    if (now?.value.session !== before?.value.session) onChange()
  })
  return {
    eligibleAgents: ({ command }) => ableOf(command.placement),
    rankedAgents: ({ uid, command: { placement } }, target) =>
      rank(rankedBy(uid, placement, target), ableOf(placement)),
    countTargets(placement) {
      let count = 0
      for (const { key, value: member } of members.entries())
        if (isTarget(placement, keys.parseMember(key)?.agent ?? '', member)) count++
      return count
    },
    onMembership: listener => void listeners.push(listener),
  }
}

function* ableAgents({ keys, pool, members, agents }: Membership, placement: Placement): Iterable<string> {
  for (const { key, value: member } of members.entries()) {
    const agent = keys.parseMember(key)?.agent
    if (!agent || member.cordoned || !isTarget(placement, agent, member)) continue
    if (agents.get(keys.agent(pool, agent))) yield agent
  }
}
