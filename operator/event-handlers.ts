import type { Keys } from '../core/keys.ts'
import type { Queue } from '../platform/work-queue.ts'
import type { CompileInputsCache } from './compile/compile-inputs.ts'
import type { Sources } from './compile/value-sources.ts'
import type { Context } from './context.ts'
import type { JobReconciler } from './jobs/reconcile.ts'
import { nameKey } from './object-name.ts'
import type { ObjectRef } from './resources/port.ts'
import type { RunReconciler } from './runs/reconcile.ts'

/** Which change adds which key to which queue. A superfluous key does no harm; the resync makes up for a missing one. */

export interface Queues {
  /** Keys `<namespace>/<name>`. */
  jobs: Queue
  runs: Queue
  /** Has one key: pools, members and agents are reconciled together. */
  fleet: Queue
}

interface Handlers {
  jobs: JobReconciler
  runs: RunReconciler
  sources: Sources
  inputs: CompileInputsCache
}

const FLEET = 'fleet'

/** Adds every object, and everything in etcd that may have lost its object. */
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

/** Returns a function that removes the handlers of objects. Those of etcd end with the mirrors. */
export function registerEventHandlers(context: Context, queues: Queues, handlers: Handlers): () => void {
  watchEtcd(context, queues, handlers)
  return context.resources.onChange(ref => objectChanged(context, { queues, handlers, ref }))
}

function objectChanged(
  context: Context,
  { queues, handlers, ref }: { queues: Queues; handlers: Handlers; ref: ObjectRef },
): void {
  const { inputs, sources } = handlers
  switch (ref.kind) {
    case 'ShellCronJob':
      queues.jobs.add(nameKey(ref))
      // A blocked ShellRun may have waited for this job. Another job may have waited for room under maxJobs, if this one came or went.
      return enqueueBlocked(context, queues, {
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
      return enqueueBlocked(context, queues)
    case 'ShellAgent':
    case 'ShellPool':
    case 'Node':
      inputs.changed()
      queues.fleet.add(FLEET)
      return enqueueBlocked(context, queues)
    default:
      return ref.kind satisfies never
  }
}

/** A blocked object may compile now. `namespace`: only objects of this namespace. */
function enqueueBlocked(
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

function watchEtcd(context: Context, queues: Queues, { jobs, runs }: Handlers): void {
  const { mirrors, resources, keys } = context
  mirrors.jobs.onChange((key, now) => {
    const ref = keys.parseJob(key)
    // An entry without an object. What another process deletes is restored first (upkeep/restore-records.ts).
    if (ref && now && !resources.get('ShellCronJob', ref.namespace, ref.name)) add(queues.jobs, ref)
  })
  mirrors.runs.onChange((key, now) => {
    const ref = keys.parseRun(key)
    if (ref && now && !resources.get('ShellRun', ref.namespace, ref.name)) add(queues.runs, ref)
  })
  mirrors.cells.onChange(key => {
    const ref = keys.parseCell(key)
    if (!ref) return
    const [queue, reconciler] = ref.kind === 'run' ? [queues.runs, runs] : [queues.jobs, jobs]
    if (reconciler.isWaiting(nameKey(ref))) queue.add(nameKey(ref))
  })
  mirrors.requests.onChange((_, now, before) => {
    // The request was claimed, or its lease has expired.
    if (!now && before?.value.kind === 'run') add(queues.runs, before.value)
  })
  // An agent has enrolled again: its earlier user is deleted.
  mirrors.identities.onChange(() => queues.fleet.add(FLEET))
  mirrors.members.onChange(key => membersChanged(context, queues, keys.parseMember(key)?.pool))
}

/** In mode All the targets are the selected members. */
function membersChanged(context: Context, queues: Queues, pool: string | undefined): void {
  const { mirrors, keys } = context
  for (const { key, value } of mirrors.jobs.entries())
    if (value.pool === pool && value.command.placement.mode === 'All') add(queues.jobs, keys.parseJob(key))
  enqueueBlocked(context, queues)
}

type Ref = ReturnType<Keys['parseJob']>

function add(queue: Queue, ref: Pick<NonNullable<Ref>, 'namespace' | 'name'> | undefined): void {
  if (ref) queue.add(nameKey(ref))
}
