import { X509Certificate } from 'node:crypto'
import type { Keys } from '../../core/keys.ts'
import { type AgentIdentity, agentOf, agentUser } from '../../core/records/agent-user.ts'
import type { EtcdAuth } from '../../store/etcd/auth.ts'
import { BACKUP_USER } from './authority.ts'
import { poolOfRole, rightsOf, roleOf } from './rights.ts'

/**
 * etcd's users and roles. etcd takes the common name of a client's certificate for its user.
 *
 *   the operator          ─▶ role root
 *   the backup, if asked  ─▶ role root
 *   agent:POOL:NAME:ID    ─▶ role pool:POOL, with the rights of rights.ts
 *   anybody else          ─▶ no rights
 *
 * Every step is level-triggered: it may be repeated, and does only what is missing.
 */
export interface Access {
  /** Turns etcd's authentication on. */
  enable(): Promise<void>
  /** Makes the agent's user, and its pool's role. To be called before the agent gets its certificate. */
  admit(agent: AgentIdentity): Promise<void>
  /** The agents that have a user. */
  admitted(): Promise<AgentIdentity[]>
  /** Takes every right from the agent at once, except from watches that it has opened. */
  expel(agent: AgentIdentity): Promise<void>
  /** Deletes the roles of other pools. */
  keepRoles(pools: ReadonlySet<string>): Promise<void>
}

const ROOT = 'root'

/** `ownUser`: the operator's. `backups`: whether the user for backups may read everything; otherwise it is removed. */
export function createAccess(of: { auth: EtcdAuth; keys: Keys; ownUser: string; backups?: boolean }): Access {
  const { auth, keys, ownUser, backups = false } = of
  /** What this process has made or found complete. */
  const roles = new Map<string, Promise<void>>()
  const users = new Set<string>()
  const makeRole = (pool: string): Promise<void> => {
    const known = roles.get(pool)
    if (known) return known
    const made = auth.putRole(roleOf(pool), rightsOf(keys, pool))
    roles.set(pool, made)
    made.catch(() => roles.delete(pool))
    return made
  }
  return {
    async enable() {
      roles.clear()
      users.clear()
      // etcd demands a user of this name. It has no password, and no certificate is issued for it.
      await auth.addUser(ROOT, ROOT)
      await auth.addUser(ownUser, ROOT)
      // etcd gives a snapshot to the role root only.
      if (backups) await auth.addUser(BACKUP_USER, ROOT)
      else await auth.deleteUser(BACKUP_USER)
      await auth.enable()
    },
    async admit(agent) {
      const user = agentUser(agent)
      await makeRole(agent.pool)
      if (users.has(user)) return
      await auth.addUser(user, roleOf(agent.pool))
      users.add(user)
    },
    admitted: async () => (await auth.users()).flatMap(user => agentOf(user) ?? []),
    async expel(agent) {
      users.delete(agentUser(agent))
      await auth.deleteUser(agentUser(agent))
    },
    async keepRoles(pools) {
      for (const role of await auth.roles()) {
        const pool = poolOfRole(role)
        if (pool === undefined || pools.has(pool)) continue
        roles.delete(pool)
        await auth.deleteRole(role)
      }
    },
  }
}

/** The user that etcd takes the owner of this certificate for. */
export function userOf(certificate: string): string {
  return /^CN=(.*)$/m.exec(new X509Certificate(certificate).subject)?.[1] ?? ''
}
