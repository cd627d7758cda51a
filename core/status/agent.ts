import type { AgentStatus } from '../schema/status.ts'
import { conditionsOf, type Said, type Statement } from './conditions.ts'
import { short } from './size.ts'

/** All that a ShellAgent's status is made of. Times are ms since the epoch. */
export interface AgentFacts {
  now: number
  /** Of the object. */
  created: number
  generation: number
  cordoned: boolean
  /** undefined: it does not live. */
  registration?: { session: number; version: string; startedAt: number } | undefined
  /** Why it takes nothing although it lives, or is no member at all. */
  blocked?: { reason: string; message: string; since: number } | undefined
  running: number
  previous?: readonly Said[] | undefined
}

export function agentStatus(facts: AgentFacts): AgentStatus {
  const { now, generation, previous, registration, running } = facts
  return {
    observedGeneration: generation,
    conditions: conditionsOf([readyOf(facts)], { generation, now, previous }),
    ...(registration
      ? { session: String(registration.session), version: short(registration.version, 64) }
      : {}),
    running,
  }
}

function readyOf({ blocked, registration, cordoned, created }: AgentFacts): Statement {
  const type = 'Ready'
  if (blocked) return { type, status: 'False', ...blocked }
  if (!registration) {
    const message =
      'it has not registered, or its session has ended: is the agent running, and can it reach etcd?'
    return { type, status: 'False', reason: 'NotConnected', message, since: created }
  }
  const since = registration.startedAt
  return cordoned
    ? {
        type,
        status: 'True',
        reason: 'Cordoned',
        message: 'connected; cordoned, so it takes no new runs',
        since,
      }
    : { type, status: 'True', reason: 'Connected', message: 'connected', since }
}
