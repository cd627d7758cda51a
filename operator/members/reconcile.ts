import { isDeepStrictEqual } from 'node:util'
import { memberSchema, poolSchema } from '../../core/records/state.ts'
import { Stale } from '../../platform/work-queue.ts'
import type { Txn } from '../../store/etcd/types.ts'
import { deleteKnown, putKnown } from '../../store/protocol/operator-writes.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { agentsForNodes, desiredMembers, desiredPools } from './plan.ts'

type Deps = Pick<
  Context,
  'etcd' | 'keys' | 'clock' | 'log' | 'mirrors' | 'resources' | 'identity' | 'draining'
>

/**
 * Reconciles pools, members and the Nodes' ShellAgents with the objects, all together, as they depend on each other. The records of an
 * object that exists but cannot be read stay as they are.
 */
export async function reconcileMembers(deps: Deps, signal: AbortSignal): Promise<void> {
  const { resources, etcd, log } = deps
  const pools = resources.list('ShellPool')
  const agents = resources.list('ShellAgent')
  const nodes = resources.list('Node')
  if (!deps.draining()) {
    const known = new Map(agents.map(agent => [agent.metadata.name, agent]))
    for (const agent of agentsForNodes(nodes, pools, known))
      if (!isHidden(deps, 'ShellAgent', agent.name)) await resources.putAgent(agent)
  }
  const members = desiredMembers(agents, new Map(nodes.map(node => [node.metadata.name, node])), pools)
  const txns = [
    ...(await poolTxns(deps, desiredPools(pools, members, deps.draining()))),
    ...memberTxns(deps, members),
  ]
  if (txns.length === 0) return
  for (const answer of await etcd.batch(txns, signal)) {
    if ('ambiguous' in answer) throw answer.ambiguous
    if (!answer.ok) throw new Stale('members or pools have changed since they were read')
  }
  log.info({ changed: txns.length }, 'members.put')
}

/** Whether the object exists but was never readable: it is in no list, and must not be taken for deleted. */
function isHidden({ resources }: Deps, kind: 'ShellAgent' | 'ShellPool', name: string | undefined): boolean {
  if (name === undefined || resources.get(kind, '', name)) return false
  return resources.unreadable(kind, '', name) !== undefined
}

async function poolTxns(deps: Deps, desired: ReturnType<typeof desiredPools>): Promise<Txn[]> {
  const { keys, mirrors, identity } = deps
  const txns: Txn[] = []
  for (const [name, settings] of desired) {
    const key = keys.pool(name)
    const { publicPem } = await identity.pool(name)
    const stored = mirrors.pools.get(key)
    if (stored && isHidden(deps, 'ShellPool', name)) continue
    const value = poolSchema.parse({ ...settings, sealKey: publicPem })
    if (!isDeepStrictEqual(stored?.value, value))
      txns.push(putKnown(key, stored?.mod ?? 0, JSON.stringify(value)))
  }
  const inUse = new Set(desired.keys())
  for (const { key } of mirrors.jobs.entries()) inUse.add(keys.parseJob(key)?.pool ?? '')
  for (const { key, mod } of mirrors.pools.entries()) {
    const name = keys.parsePool(key)
    if (name !== undefined && !inUse.has(name) && !isHidden(deps, 'ShellPool', name))
      txns.push(deleteKnown(key, mod))
  }
  return txns
}

function memberTxns(deps: Deps, desired: ReturnType<typeof desiredMembers>): Txn[] {
  const { keys, mirrors, clock } = deps
  const txns: Txn[] = []
  const wanted = new Set<string>()
  for (const { pool, agent, ...settings } of desired) {
    const key = keys.member(pool, agent)
    wanted.add(key)
    const stored = mirrors.members.get(key)
    const enrolledAt = stored?.value.enrolledAt ?? clock.now()
    const value = memberSchema.parse({ ...settings, enrolledAt })
    if (!isDeepStrictEqual(stored?.value, value))
      txns.push(putKnown(key, stored?.mod ?? 0, JSON.stringify(value)))
  }
  const stale = [...mirrors.members.entries()].filter(
    ({ key }: Versioned<unknown>) =>
      !wanted.has(key) && !isHidden(deps, 'ShellAgent', keys.parseMember(key)?.agent),
  )
  return [...txns, ...stale.map(({ key, mod }) => deleteKnown(key, mod))]
}
