import { isDeepStrictEqual } from 'node:util'
import { type Member, memberSchema, type Pool, poolSchema } from '../../core/records/state.ts'
import { Stale } from '../../platform/work-queue.ts'
import { deleteKnown, putKnown } from '../../store/protocol/operator-writes.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { agentsForNodes, desiredMembers, desiredPools } from './plan.ts'

type Deps = Pick<
  Context,
  'etcd' | 'keys' | 'clock' | 'log' | 'mirrors' | 'resources' | 'identity' | 'draining' | 'writes'
>

/**
 * Reconciles pools, members and the Nodes' ShellAgents with the objects, all together, as they depend on each other. The records of an
 * object that exists but cannot be read stay as they are.
 */
export async function reconcileMembers(deps: Deps, signal: AbortSignal): Promise<void> {
  const { resources, log } = deps
  const pools = resources.list('ShellPool')
  const agents = resources.list('ShellAgent')
  const nodes = resources.list('Node')
  if (!deps.draining()) {
    const known = new Map(agents.map(agent => [agent.metadata.name, agent]))
    for (const agent of agentsForNodes(nodes, pools, known))
      if (!isHidden(deps, 'ShellAgent', agent.name)) await resources.putAgent(agent)
  }
  const members = desiredMembers(agents, new Map(nodes.map(node => [node.metadata.name, node])), pools)
  const changes = [
    ...(await poolChanges(deps, desiredPools(pools, members, deps.draining()))),
    ...memberChanges(deps, members),
  ]
  if (changes.length === 0) return
  await apply(deps, changes, signal)
  log.info({ changed: changes.length }, 'members.put')
}

/** A record to put, or to delete (undefined). `mod`: the revision that it replaces. */
interface RecordChange {
  key: string
  mod: number
  value: Member | Pool | undefined
}

async function apply(
  { etcd, writes }: Deps,
  changes: readonly RecordChange[],
  signal: AbortSignal,
): Promise<void> {
  for (const { key, value } of changes) writes.expect(key, value)
  const answers = await etcd.batch(
    changes.map(({ key, mod, value }) =>
      value ? putKnown(key, mod, JSON.stringify(value)) : deleteKnown(key, mod),
    ),
    signal,
  )
  let isStale = false
  for (const [i, answer] of answers.entries()) {
    if ('ambiguous' in answer) throw answer.ambiguous
    if (answer.ok) continue
    isStale = true
    writes.refused(changes[i]?.key ?? '')
  }
  if (isStale) throw new Stale('members or pools have changed since they were read')
}

/** Whether the object exists but was never readable: it is in no list, and must not be taken for deleted. */
function isHidden({ resources }: Deps, kind: 'ShellAgent' | 'ShellPool', name: string | undefined): boolean {
  if (name === undefined || resources.get(kind, '', name)) return false
  return resources.unreadable(kind, '', name) !== undefined
}

async function poolChanges(deps: Deps, desired: ReturnType<typeof desiredPools>): Promise<RecordChange[]> {
  const { keys, mirrors, identity } = deps
  const changes: RecordChange[] = []
  for (const [name, settings] of desired) {
    const key = keys.pool(name)
    const { publicPem } = await identity.pool(name)
    const stored = mirrors.pools.get(key)
    if (stored && isHidden(deps, 'ShellPool', name)) continue
    const value = poolSchema.parse({ ...settings, sealKey: publicPem })
    if (!isDeepStrictEqual(stored?.value, value)) changes.push({ key, mod: mirrors.revisionOf(key), value })
  }
  const inUse = new Set(desired.keys())
  for (const { key } of mirrors.jobs.entries()) inUse.add(keys.parseJob(key)?.pool ?? '')
  for (const { key, mod } of mirrors.pools.entries()) {
    const name = keys.parsePool(key)
    if (name !== undefined && !inUse.has(name) && !isHidden(deps, 'ShellPool', name))
      changes.push({ key, mod, value: undefined })
  }
  return changes
}

function memberChanges(deps: Deps, desired: ReturnType<typeof desiredMembers>): RecordChange[] {
  const { keys, mirrors, clock } = deps
  const changes: RecordChange[] = []
  const wanted = new Set<string>()
  for (const { pool, agent, ...settings } of desired) {
    const key = keys.member(pool, agent)
    wanted.add(key)
    const stored = mirrors.members.get(key)
    const enrolledAt = stored?.value.enrolledAt ?? clock.now()
    const value = memberSchema.parse({ ...settings, enrolledAt })
    if (!isDeepStrictEqual(stored?.value, value)) changes.push({ key, mod: mirrors.revisionOf(key), value })
  }
  const stale = [...mirrors.members.entries()].filter(
    ({ key }: Versioned<unknown>) =>
      !wanted.has(key) && !isHidden(deps, 'ShellAgent', keys.parseMember(key)?.agent),
  )
  return [...changes, ...stale.map(({ key, mod }) => ({ key, mod, value: undefined }))]
}
