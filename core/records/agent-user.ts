/** An agent's identity: one enrolment of an agent. */
export interface AgentIdentity {
  pool: string
  agent: string
  /** Random, and new at each enrolment. A renewed certificate keeps it. */
  id: string
}

/** An agent's user in etcd, and the common name of its certificate. No part has a colon. */
export function agentUser({ pool, agent, id }: AgentIdentity): string {
  return `agent:${pool}:${agent}:${id}`
}

/** The inverse of `agentUser`; undefined: not an agent's user. */
export function agentOf(user: string): AgentIdentity | undefined {
  const [kind, pool, agent, id, ...more] = user.split(':')
  return kind === 'agent' && pool && agent && id && more.length === 0 ? { pool, agent, id } : undefined
}
