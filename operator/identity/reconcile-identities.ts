import type { AgentIdentity } from '../../core/records/agent-user.ts'
import { type IdentityRecord, identitySchema } from '../../core/records/identity.ts'
import { deleteKnown, putKnown } from '../../store/protocol/operator-writes.ts'
import { parseValue, parseVersioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { desiredMembers } from '../members/plan.ts'
import type { Access } from './access.ts'

/**
 * Reconciles the identities of agents with the ShellAgents, and etcd's users with the identities.
 *
 *   ShellAgent deleted, created again or moved to another pool ─▶ its identity is deleted
 *   agent enrolled again                                        ─▶ its identity has another id (enrolment/enrol.ts)
 *   identity                   ─▶ user of etcd
 *   user without its identity  ─▶ new pool key ─▶ user deleted ─▶ entries sealed anew
 *
 * The user is deleted after the pool's key is replaced, so that an operator that dies in between does both again.
 */
type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'resources' | 'identity'>

const AT_A_TIME = 16

export interface IdentityOptions {
  access: Access
  /** Agents of this machine that `up` has enrolled: their identities are files of the operator's own machine. */
  localIdentities(): Promise<readonly AgentIdentity[]>
}

/** Answers the pools that have a new key. */
export async function reconcileIdentities(
  deps: Deps,
  { access, localIdentities }: IdentityOptions,
): Promise<Set<string>> {
  // Before the identities are read: an identity is stored before its user is made.
  const admitted = await access.admitted()
  const uids = uidsOfAgents(deps)
  for (const local of await localIdentities()) await putLocal(deps, local, uids)
  const valid = await validIdentities(deps, uids)
  const rotated = new Set<string>()
  for (const user of admitted) {
    if (valid.get(nameOf(user))?.id === user.id) continue
    if (!rotated.has(user.pool)) await deps.identity.rotatePool(user.pool)
    rotated.add(user.pool)
    await access.expel(user)
    deps.log.info(user, 'identity.ended')
  }
  await admitAll(access, [...valid.values()])
  // The pool of a member that is just being enrolled is among them.
  await access.keepRoles(new Set([...valid.keys(), ...uids.keys()].map(name => name.split('/')[0] ?? '')))
  return rotated
}

/** At the start of a term every agent is looked up in etcd, so several at a time. */
async function admitAll(access: Access, agents: readonly AgentIdentity[]): Promise<void> {
  for (let at = 0; at < agents.length; at += AT_A_TIME)
    await Promise.all(agents.slice(at, at + AT_A_TIME).map(agent => access.admit(agent)))
}

/** The uid of each agent's ShellAgent, by pool and name. */
function uidsOfAgents({ resources }: Deps): Map<string, string> {
  const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
  const members = desiredMembers(resources.list('ShellAgent'), nodes, resources.list('ShellPool'))
  return new Map(
    members.map(member => [
      nameOf(member),
      resources.get('ShellAgent', '', member.agent)?.metadata.uid ?? '',
    ]),
  )
}

function nameOf({ pool, agent }: { pool: string; agent: string }): string {
  return `${pool}/${agent}`
}

async function putLocal(deps: Deps, local: AgentIdentity, uids: ReadonlyMap<string, string>): Promise<void> {
  const { etcd, keys, clock } = deps
  const uid = uids.get(nameOf(local))
  if (uid === undefined) return
  const key = keys.identity(local.pool, local.agent)
  const { value, mod } = parseVersioned(identitySchema, key, await etcd.get(key))
  if (value?.id === local.id && value.uid === uid) return
  const record: IdentityRecord = { id: local.id, uid, enrolledAt: clock.now() }
  await etcd.txn(putKnown(key, mod, JSON.stringify(record)))
}

/** Deletes the identities of agents that are no members any more. Those of objects that cannot be read stay. */
async function validIdentities(
  deps: Deps,
  uids: ReadonlyMap<string, string>,
): Promise<Map<string, AgentIdentity>> {
  const { etcd, keys, resources } = deps
  const valid = new Map<string, AgentIdentity>()
  for (const item of (await etcd.list(keys.identities)).items) {
    const of = keys.parseIdentity(item.key)
    const record = parseValue(identitySchema, item.value)
    if (!of || !record) continue
    const isHidden = resources.unreadable('ShellAgent', '', of.agent) !== undefined
    if (isHidden || uids.get(nameOf(of)) === record.uid) valid.set(nameOf(of), { ...of, id: record.id })
    else await etcd.txn(deleteKnown(item.key, item.mod))
  }
  return valid
}
