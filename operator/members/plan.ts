import { selects } from '../../core/fires/placement.ts'
import type { Member, Pool } from '../../core/records/state.ts'
import type { ShellAgent, ShellPool } from '../../core/schema/objects.ts'
import type { AgentManifest, Node } from '../resources/port.ts'

/** Which pools and members there should be, and which ShellAgents for Nodes. Pure. */

export const DEFAULT_POOL = 'default'
const CONTROL_PLANE_LABELS = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master']

/** A member but for when it was enrolled, which only its history says. */
export type DesiredMember = Omit<Member, 'enrolledAt'> & { pool: string; agent: string }

/**
 * The pool of a Node: the first by name whose selector matches it; else `default`, but for control-plane nodes, which get no agent
 * unless a pool asks for them. undefined: no agent there.
 */
export function poolOfNode(node: Pick<Node, 'metadata'>, pools: readonly ShellPool[]): string | undefined {
  const { labels } = node.metadata
  const own = pools
    .filter(({ spec }) => spec.nodeSelector !== undefined)
    .filter(({ spec }) => selects(selectorOf(spec.nodeSelector), labels))
    .map(({ metadata }) => metadata.name)
    .sort()
  const [asked] = own
  if (asked !== undefined) return asked
  if (CONTROL_PLANE_LABELS.some(label => label in labels)) return undefined
  const fallback = pools.find(({ metadata }) => metadata.name === DEFAULT_POOL)
  return fallback?.spec.nodeSelector === undefined ? DEFAULT_POOL : undefined
}

function selectorOf(matchLabels: Readonly<Record<string, string>> | undefined) {
  return { matchLabels: { ...matchLabels }, matchExpressions: [] }
}

/** ShellAgents to be made or changed, so that each Node with an agent has one, owned by it. */
export function agentsForNodes(
  nodes: readonly Node[],
  pools: readonly ShellPool[],
  agents: ReadonlyMap<string, ShellAgent>,
): AgentManifest[] {
  return nodes.flatMap(node => {
    const pool = poolOfNode(node, pools)
    const { name, uid } = node.metadata
    const there = agents.get(name)
    if (pool === undefined || there?.spec.external) return []
    if (there?.spec.pool === pool) return []
    return [{ name, node: { name, uid }, spec: { pool } }]
  })
}

/** External agents, and those whose Node still has one. A Node's labels are its agent's; an external agent's are in its spec. */
export function desiredMembers(
  agents: readonly ShellAgent[],
  nodes: ReadonlyMap<string, Node>,
  pools: readonly ShellPool[],
): DesiredMember[] {
  return agents.flatMap(({ metadata, spec }): DesiredMember[] => {
    if (metadata.deletionTimestamp) return []
    const node = spec.external ? undefined : nodes.get(metadata.name)
    const pool = spec.external ? spec.pool : node && poolOfNode(node, pools)
    if (pool === undefined) return []
    return [
      {
        pool,
        agent: metadata.name,
        labels: { ...node?.metadata.labels, ...spec.labels },
        cordoned: spec.cordoned ?? false,
        ...(spec.maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns: spec.maxConcurrentRuns }),
      },
    ]
  })
}

/** Pools that exist: `default`, those with a ShellPool, those of a member. Without its seal key. */
export function desiredPools(
  pools: readonly ShellPool[],
  members: readonly DesiredMember[],
  draining: boolean,
): Map<string, Omit<Pool, 'sealKey'>> {
  const names = new Set([
    DEFAULT_POOL,
    ...pools.map(({ metadata }) => metadata.name),
    ...members.map(({ pool }) => pool),
  ])
  const specs = new Map(pools.map(({ metadata, spec }) => [metadata.name, spec]))
  return new Map(
    [...names].map(name => [
      name,
      {
        ttlSeconds: specs.get(name)?.sessionTTLSeconds ?? 30,
        paused: specs.get(name)?.paused ?? false,
        draining,
      },
    ]),
  )
}
