import type { Keys } from '../../core/keys.ts'
import type { Result } from '../../core/records/state.ts'
import type { LogStore } from '../../store/log/port.ts'
import type { Context } from '../context.ts'
import type { LeaderTask } from '../operator.ts'
import type { ObjectRef, Resources } from '../resources/port.ts'
import { every } from '../until-aborted.ts'
import { createDrain } from '../upkeep/drain-outbox.ts'
import { createStatusReader } from './compute-status.ts'
import { isCompiled, isEntryAwaited, urgency } from './when-to-write.ts'
import { createStatusWriter, type StatusWriter } from './write-budget.ts'

/**
 * Reports what agents did: stores results in the log store, and writes the objects' statuses.
 *
 *   outbox ──▶ drain ──▶ log store ─────────┐
 *                └─ touch                   ├──▶ status reader ──▶ status writer ──▶ status
 *   compile results, objects, actives ─ touch
 */
export interface ReportOptions {
  logStore: LogStore
  /** For all but verdicts. Default 20. */
  writesPerSecond?: number
  /** For verdicts. Default 100. */
  verdictsPerSecond?: number
  /** Called with each status that is written. */
  onStatus?(ref: ObjectRef, uid: string, status: object): void
  /** Called with the reason while results cannot be stored, and with undefined once they can. */
  onTrouble?(message: string | undefined): void
}

/** How often every status is computed again, in case an event was missed, ms. */
const RESYNC_MS = 1_800_000
/** How often jobs are updated after agents have joined or left, ms. */
const FLEET_MS = 2_000
/** The part of the write budget that counts of living targets may use. */
const FLEET_SHARE = 0.1
const KINDS = ['ShellCronJob', 'ShellRun', 'ShellAgent', 'ShellPolicy', 'ShellPool'] as const

export function createResultReporter({
  logStore,
  writesPerSecond = 20,
  verdictsPerSecond = 100,
  onStatus,
  onTrouble,
}: ReportOptions): LeaderTask {
  return async (context, signal) => {
    const { resources, etcd, keys, clock, log, mirrors } = context
    const runs = countRuns(context)
    const writer = createStatusWriter({
      clock,
      log,
      writesPerSecond,
      verdictsPerSecond,
      awaitsVerdict: ref => !resources.isSettled(ref),
      statusOf: createStatusReader({ ...context, logStore, runsOf: runs }),
      apply: (ref, uid, status) => {
        onStatus?.(ref, uid, status)
        return resources.applyStatus(ref, uid, status)
      },
    })
    const drain = createDrain({
      etcd,
      keys,
      store: logStore,
      clock,
      log,
      ...(onTrouble ? { onTrouble } : {}),
      onOutcome: result => {
        const { kind, namespace, name, outcome } = result
        writer.touch(refOf(kind, namespace, name), kind === 'run' || outcome !== 'Succeeded')
        warn(resources, result)
      },
    })
    const stopped = watch(context, writer)
    touchAll(context, writer)
    await Promise.all([
      writer.run(signal),
      drain.run(signal),
      every({ clock, ms: RESYNC_MS }, signal, () => touchAll(context, writer)),
      every({ clock, ms: FLEET_MS }, signal, fleetWatch(context, writer, writesPerSecond)),
    ])
    stopped()
    log.debug({ stored: drain.stored, written: writer.written, synced: mirrors.synced() }, 'report.ended')
  }
}

/** An Event for what went wrong besides the outcome. After a crash of the operator it may be repeated. */
function warn(
  resources: Pick<Resources, 'event'>,
  { kind, namespace, name, uid, run, message = '', warnings = [] }: Result,
): void {
  for (const reason of warnings)
    resources.event(refOf(kind, namespace, name), uid, {
      type: 'Warning',
      reason,
      message: `${run}: ${message}`,
    })
}

function refOf(kind: 'job' | 'run', namespace: string, name: string): ObjectRef {
  return { kind: kind === 'run' ? 'ShellRun' : 'ShellCronJob', namespace, name }
}

function agentRef(name: string): ObjectRef {
  return { kind: 'ShellAgent', namespace: '', name }
}

function touchAll({ resources }: Context, writer: StatusWriter): void {
  for (const kind of KINDS)
    for (const { metadata } of resources.list(kind))
      writer.touch({ kind, namespace: metadata.namespace ?? '', name: metadata.name })
}

/** Touches objects whose status may have changed. Returns a function that removes the listener of objects. */
function watch(context: Context, writer: StatusWriter): () => void {
  const { resources, mirrors, compileResults, keys } = context
  const isUrgent = urgency(context)
  const touchCompiled = (ref: ObjectRef) => {
    // Otherwise the verdict follows with the entry, and a status between the two generations would be one write too many.
    if (!isEntryAwaited(context, ref)) writer.touch(ref, isUrgent(ref))
  }
  compileResults.onChange((kind, of) => touchCompiled({ kind, ...of }))
  mirrors.jobs.onChange((_, now, before) => {
    const entry = (now ?? before)?.value
    if (entry) touchCompiled(refOf('job', entry.namespace, entry.name))
  })
  mirrors.actives.onChange((key, now, before) => {
    const active = (now ?? before)?.value
    if (active) writer.touch(refOf(active.kind, active.namespace, active.name), active.kind === 'run')
    const owner = keys.parseActive(key)
    if (owner) writer.touch(agentRef(owner.agent))
  })
  mirrors.agents.onChange(key => {
    const agent = keys.parseAgent(key)
    if (agent) writer.touch(agentRef(agent.agent), true)
  })
  const restored = resources.onForeignStatus(ref => writer.rewrite(ref))
  const stopped = resources.onChange(ref => {
    // An edit of a job is urgent once it is compiled. Kinds that are not compiled are only touched here, and never at a start.
    if (ref.kind === 'ShellCronJob') {
      if (isCompiled(context, ref)) writer.touch(ref)
    } else if (ref.kind === 'ShellRun') writer.touch(ref, isUrgent(ref))
    else if (isReported(ref.kind)) writer.touch(ref, true)
  })
  return () => {
    stopped()
    restored()
  }
}

function isReported(kind: ObjectRef['kind']): kind is (typeof KINDS)[number] {
  return KINDS.some(one => one === kind)
}

/** Counts the runs of each agent as they come and go. */
function countRuns({
  mirrors,
  keys,
}: Pick<Context, 'mirrors' | 'keys'>): (pool: string, agent: string) => number {
  const counts = new Map<string, number>()
  const add = (key: string, change: number) => {
    const owner = ownerOf(keys, key)
    if (owner === undefined || change === 0) return
    const count = (counts.get(owner) ?? 0) + change
    if (count > 0) counts.set(owner, count)
    else counts.delete(owner)
  }
  for (const { key } of mirrors.actives.entries()) add(key, 1)
  mirrors.actives.onChange((key, now, before) => add(key, (now ? 1 : 0) - (before ? 1 : 0)))
  return (pool, agent) => counts.get(`${pool}/${agent}`) ?? 0
}

function ownerOf(keys: Keys, key: string): string | undefined {
  const at = keys.parseActive(key)
  return at && `${at.pool}/${at.agent}`
}

/**
 * Agents that join or leave change how many targets of a job live. A few jobs are updated at once, many jobs rarely, so that a rollout of
 * all agents does not use up the budget.
 */
function fleetWatch({ mirrors, keys, clock }: Context, writer: StatusWriter, budget: number): () => void {
  const changed = new Set<string>()
  const note = (pool: string | undefined) => pool !== undefined && changed.add(pool)
  mirrors.agents.onChange((key, now, before) => {
    if (now?.value.session !== before?.value.session) note(keys.parseAgent(key)?.pool)
  })
  mirrors.members.onChange(key => note(keys.parseMember(key)?.pool))
  let notBefore = 0
  return () => {
    if (changed.size === 0 || clock.monotonic() < notBefore) return
    let count = 0
    for (const [kind, entries] of [
      ['job', mirrors.jobs.entries()],
      ['run', mirrors.runs.entries()],
    ] as const)
      for (const { value } of entries) {
        if (!changed.has(value.pool)) continue
        writer.touch(refOf(kind, value.namespace, value.name))
        count++
      }
    changed.clear()
    notBefore = clock.monotonic() + (count / (budget * FLEET_SHARE)) * 1_000
  }
}
