import { selects } from '../../core/fires/placement.ts'
import type { Member, Pool } from '../../core/records/state.ts'
import type { ShellAgent, ShellPool } from '../../core/schema/objects.ts'
import type { AgentManifest, Node } from '../resources/port.ts'

/** Plans the pools and members, and the ShellAgents of Nodes. Pure. */

export const DEFAULT_POOL = 'default'
const CONTROL_PLANE_LABELS = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master']

/** A member without its time of enrolment, which its stored record has. */
export type DesiredMember = Omit<Member, 'enrolledAt'> & { pool: string; agent: string }

/**
 * The pool of a Node: the first by name whose selector matches it, otherwise `default`. A control-plane Node gets an agent only if a pool
 * selects it. undefined: no agent on this Node.
 */
export function poolOfNode(node: Pick<Node, 'metadata'>, pools: readonly ShellPool[]): string | undefined {
  const { labels } = node.metadata
  const own = pools
    .filter(({ spec }) => spec.nodeSelector !== undefined)
    .filter(({ spec }) => selects(selectorOf(spec.nodeSelector), labels))
    .map(({ metadata }) => metadata.name)
    .sort()
  const [first] = own
  if (first !== undefined) return first
  if (CONTROL_PLANE_LABELS.some(label => label in labels)) return undefined
  const fallback = pools.find(({ metadata }) => metadata.name === DEFAULT_POOL)
  return fallback?.spec.nodeSelector === undefined ? DEFAULT_POOL : undefined
}

function selectorOf(matchLabels: Readonly<Record<string, string>> | undefined) {
  return { matchLabels: { ...matchLabels }, matchExpressions: [] }
}

/** The ShellAgents to create or change, so that each Node with an agent owns one. */
export function agentsForNodes(
  nodes: readonly Node[],
  pools: readonly ShellPool[],
  agents: ReadonlyMap<string, ShellAgent>,
): AgentManifest[] {
  return nodes.flatMap(node => {
    const pool = poolOfNode(node, pools)
    const { name, uid } = node.metadata
    const agent = agents.get(name)
    if (pool === undefined || agent?.spec.external) return []
    if (agent?.spec.pool === pool) return []
    return [{ name, node: { name, uid }, spec: { pool } }]
  })
}

/** The external agents, and the agents of Nodes. A Node's agent has the Node's labels and those of its spec. */
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

/** The pools that exist: `default`, those with a ShellPool, and those of a member. Without their seal keys. */
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
