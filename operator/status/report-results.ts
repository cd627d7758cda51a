import type { Keys } from '../../core/keys.ts'
import type { LogStore } from '../../store/log/port.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import type { LeaderTask } from '../operator.ts'
import type { CachedKind, ObjectRef } from '../resources/port.ts'
import { every } from '../until-aborted.ts'
import { createDrain } from '../upkeep/drain-outbox.ts'
import { createStatusReader } from './compute-status.ts'
import { createStatusWriter, type StatusWriter } from './write-budget.ts'

/**
 * What becomes of what agents did: results into the log store, and from there, with all else that is known, into objects' statuses.
 *
 *   outbox ──▶ drain ──▶ log store ──▶┐
 *                └─ touch             ├──▶ ask ──▶ writer ──▶ status
 *   compile results, objects, actives ─ touch┘
 */
export interface ReportOptions {
  logStore: LogStore
  /** Default 20. */
  writesPerSecond?: number
  /** Gets each status that is written. */
  onStatus?(ref: ObjectRef, uid: string, status: object): void
  /** Why outcomes are not stored for now; undefined: they are again. */
  onTrouble?(why: string | undefined): void
}

/** Whatever was told or not, each object is looked at so often, ms. */
const RESYNC_MS = 600_000
/** How often it is seen whether agents came or went, ms. */
const FLEET_MS = 2_000
/** Counts of living targets may take so much of the budget. */
const FLEET_SHARE = 0.1
const KINDS = ['ShellCronJob', 'ShellRun', 'ShellAgent', 'ShellPolicy', 'ShellPool'] as const

export function createResultReporter({
  logStore,
  writesPerSecond = 20,
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
      onOutcome: ({ kind, namespace, name, outcome }) =>
        writer.touch(refOf(kind, namespace, name), kind === 'run' || outcome !== 'Succeeded'),
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

/** The returned function ends what outlives the term. */
function watch(context: Context, writer: StatusWriter): () => void {
  const { resources, mirrors, compileResults, keys } = context
  const isNews = news(context)
  const touchJob = ({ namespace, name }: { namespace: string; name: string }) => {
    const ref = refOf('job', namespace, name)
    writer.touch(ref, isNews(ref))
  }
  compileResults.onChange((kind, of) => writer.touch({ kind, ...of }, isNews({ kind, ...of })))
  mirrors.jobs.onChange((_, now, before) => {
    const entry = (now ?? before)?.value
    if (entry) touchJob(entry)
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
  return resources.onChange(ref => {
    // A job's edit is news when it is in force. What the compiler does not judge is told of here only, and never at a start.
    if (ref.kind === 'ShellCronJob') writer.touch(ref)
    else if (ref.kind === 'ShellRun') writer.touch(ref, isNews(ref))
    else if (isReported(ref.kind)) writer.touch(ref, true)
  })
}

function isReported(kind: ObjectRef['kind']): kind is (typeof KINDS)[number] {
  return KINDS.some(one => one === kind)
}

/**
 * Is a change of an object one that somebody may wait for? All are, but for the first of one that is older than this term: at a start
 * everything is judged anew, mostly as before.
 */
function news({ resources, clock }: Context): (ref: ObjectRef) => boolean {
  const began = clock.now()
  const seen = new Set<string>()
  return ref => {
    const metadata = resources.get(ref.kind as CachedKind, ref.namespace, ref.name)?.metadata
    if (!metadata || ref.kind === 'Node') return false
    const { uid = '' } = metadata
    const isFirst = !seen.has(uid)
    seen.add(uid)
    return !isFirst || identify(metadata).createdAt >= began
  }
}

/** Runs per agent, kept as they come and go. */
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
 * Agents that come and go change how many targets of a job live: told at once for a few jobs, seldom for many, so that a rollout of all
 * agents does not spend the budget.
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
    for (const { value } of mirrors.jobs.entries()) {
      if (!changed.has(value.pool)) continue
      writer.touch(refOf('job', value.namespace, value.name))
      count++
    }
    changed.clear()
    notBefore = clock.monotonic() + (count / (budget * FLEET_SHARE)) * 1_000
  }
}
