import type { Trouble } from '../records/state.ts'
import type { AgentStatus } from '../schema/status.ts'
import { short } from './size-limit.ts'
import { conditionsOf, type NewCondition, type PreviousCondition } from './transition-times.ts'

/** The facts behind a ShellAgent's status. Times are ms since the epoch. */
export interface AgentFacts {
  now: number
  /** Creation of the object. */
  created: number
  generation: number
  cordoned: boolean
  /** undefined: the agent has no session. */
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

function readyOf({ registration, cordoned, created }: AgentFacts): NewCondition {
  const type = 'Ready'
  if (!registration) {
    const message =
      'the agent has not registered, or its session has ended; check that it runs and can reach etcd'
    return { type, status: 'False', reason: 'NotConnected', message, since: created }
  }
  const { trouble, startedAt: since } = registration
  if (trouble) return { type, status: 'False', ...trouble, message: troubleText(trouble.reason) }
  return cordoned
    ? {
        type,
        status: 'True',
        reason: 'Cordoned',
        message: 'connected, but cordoned: takes no new runs',
        since,
      }
    : { type, status: 'True', reason: 'Connected', message: 'connected', since }
}

const TROUBLES: Record<Trouble, string> = {
  RestoredSnapshot:
    'etcd was restored to an older state, and the operator has not started a new epoch yet; check that the operator runs',
  ClockSkewed: "its clock and the operator's differ by more than 2 s; synchronise both clocks",
  EtcdFull: 'etcd uses more than 80 % of its quota; compact and defragment it, or raise the quota',
  LauncherSilent: "its launcher does not answer; check the disk with the agent's state directory",
}

function troubleText(reason: string): string {
  const why = Object.hasOwn(TROUBLES, reason) ? TROUBLES[reason as Trouble] : "see the agent's log"
  return `connected, but takes no new runs: ${why}`
}
