import { latestUsed } from '../../core/fires/clock-epoch.ts'
import { isTarget } from '../../core/fires/placement.ts'
import type { Command, JobEntry, RunEntry } from '../../core/records/entry.ts'
import type { ShellAgent, ShellCronJob, ShellRun } from '../../core/schema/objects.ts'
import { schedulesOf } from '../../core/schema/validate.ts'
import type { AgentFacts } from '../../core/status/agent-status.ts'
import { firesNeeded, type JobFacts } from '../../core/status/job-status.ts'
import { noAgentMatches } from '../../core/status/no-agent-matches.ts'
import type { RunFacts } from '../../core/status/run-status.ts'
import { targetText } from '../../core/status/target-column.ts'
import type { LogStore } from '../../store/log/port.ts'
import { commandOf } from '../compile/command.ts'
import { PAUSED_ANNOTATION } from '../compile/compile-job.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import { entryTimes } from '../entry-times.ts'
import { desiredMembers } from '../members/plan.ts'
import { runTargets } from '../runs/plan.ts'

/** Gathers the facts of a status: from the objects, compile results, etcd, and for finished fires the log store. */

export type Deps = Pick<Context, 'resources' | 'mirrors' | 'compileResults' | 'clock' | 'keys'> & {
  logStore: Pick<LogStore, 'recent' | 'milestones'>
  /** How many runs of an agent are in flight or pending. */
  runsOf: (pool: string, agent: string) => number
}

const NEXT_TIMES = 5

/**
 * undefined: the job has not been compiled yet, or its entry is not stored. During an edit the facts are of the generation that is in
 * force, so that the new one does not appear ready too early.
 */
export async function jobFacts(
  deps: Deps,
  { spec, metadata }: ShellCronJob,
): Promise<(JobFacts & { uid: string }) | undefined> {
  const { mirrors, compileResults, clock, logStore } = deps
  const { namespace, name, uid, createdAt } = identify(metadata)
  const compiled = compileResults.get('ShellCronJob', namespace, name)
  if (compiled?.uid !== uid) return undefined
  const entry = mirrors.storedJobs(namespace, name).find(({ value }) => value?.uid === uid)?.value
  if (!entry && !compiled.blocked) return undefined
  const active = mirrors
    .activesOf('job', namespace, name)
    .map(({ value }) => value)
    .filter(value => value.uid === uid)
  const limits = { succeeded: spec.successfulRunsHistoryLimit, failed: spec.failedRunsHistoryLimit }
  const object = { kind: 'job', uid } as const
  const fires = await logStore.recent(object, firesNeeded(limits, active))
  const milestones = await logStore.milestones(object, latestUsed(clock.now()))
  const by = metadata.annotations?.[PAUSED_ANNOTATION]
  const { pool } = spec.template.spec.target
  const { placement, container, script } = commandOf(spec.template)
  return {
    uid,
    namespace,
    name,
    now: clock.now(),
    created: createdAt,
    generation:
      compiled.blocked || !entry ? compiled.generation : Math.min(entry.generation, compiled.generation),
    schedules: schedulesOf(spec),
    script,
    target: targetText({ pool, placement, container }),
    suspended: by !== undefined ? { by } : spec.suspend ? { by: '' } : undefined,
    compileState: compiled,
    limits,
    active,
    fires,
    milestones,
    nextTimes: entry ? nextTimes(entry, clock.now()) : [],
    clockSetBack: entry?.clockSetBack,
    ...targetsOf(deps, pool, placement),
  }
}

function nextTimes(entry: JobEntry, now: number): number[] {
  const { times } = entryTimes(entry)
  const next: number[] = []
  for (let time = times.next(now); time !== undefined && next.length < NEXT_TIMES; time = times.next(time))
    next.push(time)
  return next
}

/** How many members are selected, how many of them live, and if none is selected, why. Empty: the pool's members are not written yet. */
function targetsOf(
  { mirrors, resources }: Deps,
  pool: string,
  placement: Command['placement'],
): Pick<JobFacts, 'targets' | 'unmatched'> {
  const members = mirrors.membersOf(pool)
  const matched = members.filter(({ agent, member }) => isTarget(placement, agent, member))
  const ready = matched.filter(({ agent }) => mirrors.sessionOf(pool, agent) !== undefined)
  const targets = { matched: matched.length, ready: ready.length }
  if (matched.length > 0) return { targets }
  const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
  const desired = desiredMembers(resources.list('ShellAgent'), nodes, resources.list('ShellPool'))
  if (desired.filter(member => member.pool === pool).length > members.length) return {}
  return { targets, unmatched: noAgentMatches({ pool, placement, members: members.length }) }
}

/** undefined: the ShellRun has not been compiled yet; or it has ended, and its result is not in the log store. */
export async function runFacts(
  deps: Deps,
  { metadata }: ShellRun,
): Promise<(RunFacts & { uid: string }) | undefined> {
  const { mirrors, compileResults, clock, logStore } = deps
  const { namespace, name, uid, createdAt } = identify(metadata)
  const compiled = compileResults.get('ShellRun', namespace, name)
  if (compiled?.uid !== uid) return undefined
  const active = mirrors
    .activesOf('run', namespace, name)
    .map(({ value }) => value)
    .filter(value => value.uid === uid)
  const [fire] = await logStore.recent({ kind: 'run', uid }, { succeeded: 1, failed: 1 })
  const entry = mirrors.storedRuns(namespace, name).find(({ value }) => value?.uid === uid)?.value
  if (!fire && entry && active.length === 0 && hasEnded(deps, entry)) return undefined
  const { succeeded, failed, missed } = fire?.targets ?? { succeeded: 0, failed: 0, missed: 0 }
  const ended = succeeded + failed + missed + active.length
  return {
    uid,
    now: clock.now(),
    created: createdAt,
    generation: compiled.generation,
    target: entry && targetText({ pool: entry.pool, ...entry.command }),
    compileState: compiled,
    active,
    fire,
    // The number of targets is known once the entry is stored.
    open: entry ? Math.max(0, runTargets(entry).length - ended) : 1,
    ...(entry ? { unmatched: targetsOf(deps, entry.pool, entry.command.placement).unmatched } : {}),
  }
}

/**
 * Whether every target was claimed and has ended. The result is then still in the outbox, or the log store has deleted or lost it. The
 * status that the object has is then better than "Pending".
 */
function hasEnded({ mirrors }: Pick<Deps, 'mirrors'>, entry: RunEntry): boolean {
  const cells = mirrors.cellsOf('run', entry.namespace, entry.name)
  return runTargets(entry).every(target =>
    cells.some(
      ({ ref, value }) =>
        ref.target === target && value?.uid === entry.uid && value.taken && value.active.length === 0,
    ),
  )
}

export function agentFacts(
  { mirrors, clock, keys, runsOf }: Deps,
  { metadata, spec }: ShellAgent,
): AgentFacts & { uid: string } {
  const { name, uid, generation, createdAt } = identify(metadata)
  const registration = mirrors.agents.get(keys.agent(spec.pool, name))?.value
  return {
    uid,
    now: clock.now(),
    created: createdAt,
    generation,
    cordoned: spec.cordoned,
    registration,
    running: runsOf(spec.pool, name),
  }
}
