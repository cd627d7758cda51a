import type { Keys } from '../core/keys.ts'
import type { Queue } from '../platform/work-queue.ts'
import type { CompileInputsCache } from './compile/compile-inputs.ts'
import type { Sources } from './compile/value-sources.ts'
import type { Context } from './context.ts'
import type { JobReconciler } from './jobs/reconcile.ts'
import { nameKey } from './object-name.ts'
import type { ObjectRef } from './resources/port.ts'
import type { RunReconciler } from './runs/reconcile.ts'

/** Which change is worth which look. A look too many does no harm; one too few is made up for by the resync. */

export interface Queues {
  /** Keys `<namespace>/<name>`. */
  jobs: Queue
  runs: Queue
  /** One key: pools, members and agents hang together. */
  fleet: Queue
}

interface Parts {
  jobs: JobReconciler
  runs: RunReconciler
  sources: Sources
  inputs: CompileInputsCache
}

const FLEET = 'fleet'

/** Everything there is, and everything that lies in etcd without an object. */
export function enqueueAll({ resources, mirrors, keys }: Context, queues: Queues): void {
  queues.fleet.add(FLEET)
  for (const job of resources.list('ShellCronJob')) queues.jobs.add(nameKey(job.metadata))
  for (const run of resources.list('ShellRun')) queues.runs.add(nameKey(run.metadata))
  for (const { key } of mirrors.jobs.entries()) add(queues.jobs, keys.parseJob(key))
  for (const { key } of mirrors.runs.entries()) add(queues.runs, keys.parseRun(key))
  for (const { key } of mirrors.cells.entries()) {
    const ref = keys.parseCell(key)
    add(ref?.kind === 'run' ? queues.runs : queues.jobs, ref)
  }
}

/** The returned function ends it. */
export function registerEventHandlers(context: Context, queues: Queues, parts: Parts): () => void {
  watchEtcd(context, queues, parts)
  return context.resources.onChange(ref => objectChanged(context, { queues, parts, ref }))
}

function objectChanged(
  context: Context,
  { queues, parts, ref }: { queues: Queues; parts: Parts; ref: ObjectRef },
): void {
  const { inputs, sources } = parts
  switch (ref.kind) {
    case 'ShellCronJob':
      queues.jobs.add(nameKey(ref))
      // A ShellRun may have waited for it; another job for its place, which most changes are not about.
      return lookAtBlocked(context, queues, {
        namespace: ref.namespace,
        runsOnly: !inputs.jobChanged(ref.namespace, ref.name),
      })
    case 'ShellRun':
      return queues.runs.add(nameKey(ref))
    case 'Secret':
    case 'ConfigMap':
      for (const user of sources.changed(ref.kind, ref.namespace, ref.name)) {
        const [kind, key = ''] = user.split(' ')
        ;(kind === 'job' ? queues.jobs : queues.runs).add(key)
      }
      return
    case 'ShellPolicy':
      inputs.changed()
      for (const job of context.resources.list('ShellCronJob')) queues.jobs.add(nameKey(job.metadata))
      return lookAtBlocked(context, queues)
    case 'ShellAgent':
    case 'ShellPool':
    case 'Node':
      inputs.changed()
      queues.fleet.add(FLEET)
      return lookAtBlocked(context, queues)
    default:
      return ref.kind satisfies never
  }
}

/** What is blocked may be mended now. `namespace`: only there. */
function lookAtBlocked(
  { compileResults }: Context,
  queues: Queues,
  { namespace, runsOnly = false }: { namespace?: string; runsOnly?: boolean } = {},
): void {
  for (const { kind, ...ref } of compileResults.blocked()) {
    if (namespace !== undefined && ref.namespace !== namespace) continue
    if (kind === 'ShellRun') add(queues.runs, ref)
    else if (!runsOnly) add(queues.jobs, ref)
  }
}

function watchEtcd(context: Context, queues: Queues, { jobs, runs }: Parts): void {
  const { mirrors, resources, keys } = context
  mirrors.jobs.onChange((key, now) => {
    const ref = keys.parseJob(key)
    // What we did not put, or somebody took away.
    if (ref && (!now || !resources.get('ShellCronJob', ref.namespace, ref.name))) add(queues.jobs, ref)
  })
  mirrors.runs.onChange((key, now) => {
    const ref = keys.parseRun(key)
    if (ref && (!now || !resources.get('ShellRun', ref.namespace, ref.name))) add(queues.runs, ref)
  })
  mirrors.cells.onChange(key => {
    const ref = keys.parseCell(key)
    if (!ref) return
    const [queue, reconciler] = ref.kind === 'run' ? [queues.runs, runs] : [queues.jobs, jobs]
    if (reconciler.isWaiting(nameKey(ref))) queue.add(nameKey(ref))
  })
  mirrors.requests.onChange((_, now, before) => {
    // Claimed, or gone with its lease.
    if (!now && before?.value.kind === 'run') add(queues.runs, before.value)
  })
  mirrors.members.onChange(key => membersChanged(context, queues, keys.parseMember(key)?.pool))
  // A pool's or member's record that somebody changed behind our back.
  mirrors.members.onChange((_, now) => !now && queues.fleet.add(FLEET))
  mirrors.pools.onChange((_, now) => !now && queues.fleet.add(FLEET))
}

/** Targets of mode All are the members that are selected. */
function membersChanged(
  { mirrors, keys, ...context }: Context,
  queues: Queues,
  pool: string | undefined,
): void {
  for (const { key, value } of mirrors.jobs.entries())
    if (value.pool === pool && value.command.placement.mode === 'All') add(queues.jobs, keys.parseJob(key))
  lookAtBlocked({ mirrors, keys, ...context }, queues)
}

type Ref = ReturnType<Keys['parseJob']>

function add(queue: Queue, ref: Pick<NonNullable<Ref>, 'namespace' | 'name'> | undefined): void {
  if (ref) queue.add(nameKey(ref))
}
