import type { Trouble } from '../records/state.ts'
import type { AgentStatus } from '../schema/status.ts'
import { short } from './size-limit.ts'
import { type ConditionFact, conditionsOf, type PreviousCondition } from './transition-times.ts'

/** All that a ShellAgent's status is made of. Times are ms since the epoch. */
export interface AgentFacts {
  now: number
  /** Of the object. */
  created: number
  generation: number
  cordoned: boolean
  /** undefined: it does not live. */
  registration?:
    | {
        session: number
        version: string
        startedAt: number
        trouble?: { reason: string; since: number } | undefined
      }
    | undefined
  running: number
  previous?: readonly PreviousCondition[] | undefined
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

function readyOf({ registration, cordoned, created }: AgentFacts): ConditionFact {
  const type = 'Ready'
  if (!registration) {
    const message =
      'it has not registered, or its session has ended: is the agent running, and can it reach etcd?'
    return { type, status: 'False', reason: 'NotConnected', message, since: created }
  }
  const { trouble, startedAt: since } = registration
  if (trouble) return { type, status: 'False', ...trouble, message: troubleText(trouble.reason) }
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

const TROUBLES: Record<Trouble, string> = {
  RestoredSnapshot: 'etcd was put back to an older state; it waits for the operator to begin a new epoch',
  ClockSkewed: "its clock is more than 2 s off the operator's; synchronise the time of both",
  EtcdFull: 'more than 80 % of the quota of etcd is in use; compact and defragment it, or raise the quota',
  LauncherSilent: "its launcher does not answer; see to the disk with the agent's state",
}

function troubleText(reason: string): string {
  const why = Object.hasOwn(TROUBLES, reason) ? TROUBLES[reason as Trouble] : "the agent's log says why"
  return `connected, but takes no new runs: ${why}`
}
