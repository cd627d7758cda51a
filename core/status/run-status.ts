import type { Outcome } from '../records/state.ts'
import { rfc3339 } from '../rfc3339.ts'
import type { RunStatus } from '../schema/status.ts'
import { blockedConditions, type CompileState } from './blocked-conditions.ts'
import type { FireSummary } from './fire-summary.ts'
import { NO_AGENT_MATCHES } from './no-agent-matches.ts'
import { type ActiveRun, activeFires, describeFire, finishedEntry } from './run-entries.ts'
import { tail, withFittingRuns } from './size-limit.ts'
import { conditionsOf, type NewCondition, type PreviousCondition } from './transition-times.ts'

const LONGEST_TAIL = 1_024

/** The facts behind a ShellRun's status. Times are ms since the epoch. */
export interface RunFacts {
  now: number
  created: number
  generation: number
  target?: string | undefined
  compileState: CompileState
  active: readonly ActiveRun[]
  /** The targets that have ended, from the log store. */
  fire?: FireSummary | undefined
  /** How many targets have neither ended nor an active run. The ShellRun has not ended before this is 0. */
  open: number
  /** Why no agent matches its target. undefined: one does. */
  unmatched?: string | undefined
  previous?: readonly PreviousCondition[] | undefined
}

/**
 *   Pending ──▶ Running ──▶ the outcome
 *      └─ no agent may or can run it ─▶ Missed
 */
type Phase =
  | { kind: 'pending' }
  /** `startedAt` undefined: an attempt has ended, and its start is not known here. `retry`: the active attempt, which may wait for its backoff. */
  | { kind: 'running'; startedAt: number | undefined; retry?: { attempt: number; startsAt: number } }
  | { kind: 'ended'; fire: FireSummary }

export function runStatus(facts: RunFacts): RunStatus {
  const { now, generation, previous, target } = facts
  const phase = phaseOf(facts)
  const common = {
    observedGeneration: generation,
    conditions: conditionsOf(conditionsIn(phase, facts), { generation, now, previous }),
    ...(target === undefined ? {} : { target }),
  }
  switch (phase.kind) {
    case 'pending':
      return { ...common, phase: 'Pending' }
    case 'running':
      return { ...common, phase: 'Running', ...started(phase.startedAt) }
    case 'ended': {
      const { fire } = phase
      return withFittingRuns({
        ...common,
        phase: fire.outcome,
        ...(fire.exitCode === undefined ? {} : { exitCode: fire.exitCode }),
        ...started(fire.startedAt),
        completionTime: rfc3339(fire.endedAt),
        runs: [finishedEntry(fire)],
        ...(fire.tail ? { outputTail: tail(fire.tail, LONGEST_TAIL) } : {}),
      })
    }
    default:
      return phase satisfies never
  }
}

function phaseOf({ active, fire, open }: RunFacts): Phase {
  const [running] = activeFires(active)
  if (running) {
    const { attempt, startsAt } = running
    if (attempt > 1) return { kind: 'running', startedAt: fire?.startedAt, retry: { attempt, startsAt } }
    return { kind: 'running', startedAt: Math.min(startsAt, fire?.startedAt ?? startsAt) }
  }
  if (!fire) return { kind: 'pending' }
  if (open === 0) return { kind: 'ended', fire }
  return { kind: 'running', startedAt: fire.startedAt ?? fire.endedAt }
}

function started(at: number | undefined): { startTime?: string } {
  return at === undefined ? {} : { startTime: rfc3339(at) }
}

function conditionsIn(phase: Phase, facts: RunFacts): NewCondition[] {
  if (phase.kind === 'ended') return endedConditions(phase.fire)
  const { created: since, compileState } = facts
  const open = [
    { type: 'Complete', status: 'False', reason: 'NotEnded', message: '', since },
    { type: 'Failed', status: 'False', reason: 'NotEnded', message: '', since },
  ] as const
  if (phase.kind === 'pending' && compileState.blocked)
    return [...blockedConditions(compileState.blocked, compileState), ...open]
  const [reason, message] = phase.kind === 'pending' ? pending(facts) : ['Running', running(phase, facts)]
  return [
    { type: 'Ready', status: 'False', reason, message, since },
    { type: 'Reconciling', status: 'True', reason, message, since },
    { type: 'Stalled', status: 'False', reason, message: '', since },
    ...open,
  ]
}

function pending({ unmatched }: RunFacts): [reason: string, message: string] {
  return unmatched === undefined
    ? ['Pending', 'waiting for an agent to start it']
    : [NO_AGENT_MATCHES, `waiting for an agent: ${unmatched}`]
}

function running({ retry }: Extract<Phase, { kind: 'running' }>, { active, fire, open }: RunFacts): string {
  const { succeeded, failed, missed } = fire?.targets ?? { succeeded: 0, failed: 0, missed: 0 }
  const ended = succeeded + failed + missed
  const all = ended + active.length + open
  if (all > 1) return `active on ${active.length} of ${all} targets; ${ended} finished`
  return retry ? `attempt ${retry.attempt}, start time ${rfc3339(retry.startsAt)}` : 'running'
}

function endedConditions(fire: FireSummary): NewCondition[] {
  const { outcome, endedAt: since } = fire
  const message = describeFire(fire)
  const said = { reason: outcome satisfies Outcome, since }
  const is = (type: string, holds: boolean): NewCondition => ({
    type,
    status: holds ? 'True' : 'False',
    ...said,
    message: holds || type === 'Ready' ? message : '',
  })
  const succeeded = outcome === 'Succeeded'
  return [
    is('Ready', succeeded),
    is('Reconciling', false),
    is('Stalled', !succeeded),
    is('Complete', succeeded),
    is('Failed', !succeeded),
  ]
}
