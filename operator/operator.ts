import { InvalidInput } from '../core/errors.ts'
import type { Keys } from '../core/keys.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { createQueue, type Queue } from '../platform/work-queue.ts'
import { createBatcher } from '../store/etcd/batcher.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { createAgentRequests } from './agent-requests.ts'
import { createCompileInputs } from './compile/compile-inputs.ts'
import { createSources } from './compile/value-sources.ts'
import type { Context } from './context.ts'
import { mirrorEtcd } from './etcd-mirrors.ts'
import { enqueueAll, type Queues, registerEventHandlers } from './event-handlers.ts'
import type { Identity } from './identity/identity.ts'
import { createJobCompiler } from './jobs/compiler.ts'
import { createJobReconciler } from './jobs/reconcile.ts'
import { reconcileMembers } from './members/reconcile.ts'
import type { Resources } from './resources/port.ts'
import { createRunCompiler } from './runs/compiler.ts'
import { createRunReconciler } from './runs/reconcile.ts'
import { createCompileResults } from './status/compile-results.ts'
import { createSweep } from './sweep/sweep.ts'
import { type BeaconMemory, openBeacon } from './upkeep/beacon.ts'
import { buryEveryMinute } from './upkeep/bury-in-dead-pools.ts'

/**
 * A leading operator: observes etcd and the objects, and brings the one in line with the other, until the signal aborts.
 *
 *   objects, etcd ─▶ wiring ─▶ queues ─▶ reconcilers ─▶ etcd
 *                               sweep, burial, beacon ─┘
 */
export interface OperatorOptions {
  etcd: Etcd
  keys: Keys
  clock: Clock
  log: Log
  identity: Identity
  /** Started. */
  resources: Resources
  memory: BeaconMemory
  allowWithoutPolicy: boolean
  draining(): boolean
  /** More that lives as long as this one leads: drain, projection. */
  parts?: readonly LeaderTask[]
  /** It leads, and has seen everything once. `lookAtAll`: something that nobody tells of has changed. */
  onLeading?(context: Context, lookAtAll: () => void): void
}

/** Runs until the signal aborts. */
export type LeaderTask = (context: Context, signal: AbortSignal) => Promise<void>

const JOB_WORKERS = 16
const RUN_WORKERS = 8
/** Everything is looked at again from time to time, whatever was told or not. */
const RESYNC_MS = 600_000

export async function leadOperator(options: OperatorOptions, signal: AbortSignal): Promise<void> {
  const { etcd, keys, clock, log, identity } = options
  const mirrors = await mirrorEtcd({ etcd, keys, publicKey: identity.publicKey, log }, signal)
  try {
    const onEpoch = () => queues && enqueueAll(context, queues)
    const beacon = await openBeacon(
      { etcd, key: keys.beacon, memory: options.memory, clock, log, onEpoch },
      signal,
    )
    const batcher = createBatcher(etcd)
    const requests = createAgentRequests({
      etcd: { lease: etcd.lease, txn: txn => batcher.txn(txn) },
      keys,
      clock,
      sign: identity.sign,
    })
    const context: Context = {
      etcd,
      keys,
      clock,
      log,
      identity,
      resources: options.resources,
      mirrors,
      requests,
      compileResults: createCompileResults(),
      epoch: beacon.epoch,
      draining: options.draining,
      allowWithoutPolicy: options.allowWithoutPolicy,
    }
    const queues = createQueues(context)
    const sweep = createSweep({ ...context, batcher })
    options.onLeading?.(context, () => enqueueAll(context, queues))
    enqueueAll(context, queues)
    try {
      await Promise.all([
        queues.fleet.run(signal),
        queues.jobs.run(signal),
        queues.runs.run(signal),
        sweep.run(signal),
        beacon.beat(signal),
        buryEveryMinute(context, signal),
        resync(context, queues, signal),
        ...(options.parts ?? []).map(part => part(context, signal)),
      ])
    } finally {
      queues.unwire()
    }
  } finally {
    await mirrors.close()
  }
}

function createQueues(context: Context): Queues & { unwire(): void } {
  const { clock, log, resources } = context
  const sources = createSources(resources, clock)
  const inputs = createCompileInputs(context)
  const jobs = createJobReconciler(context, createJobCompiler(context, { sources, inputs }))
  const runs = createRunReconciler(context, createRunCompiler(context, { sources, inputs }))
  const queue = (
    name: string,
    concurrency: number,
    reconcile: Parameters<typeof createQueue>[0]['reconcile'],
  ): Queue => createQueue({ name, concurrency, clock, log, reconcile, isFinal })
  const queues: Queues = {
    jobs: queue('jobs', JOB_WORKERS, (key, signal) => jobs.reconcile(key, signal)),
    runs: queue('runs', RUN_WORKERS, (key, signal) => runs.reconcile(key, signal)),
    fleet: queue('fleet', 1, async (_, signal) => {
      await reconcileMembers(context, signal)
      return undefined
    }),
  }
  const unwire = registerEventHandlers(context, queues, { jobs, runs, sources, inputs })
  return { ...queues, unwire }
}

/** No retry mends what a user wrote: the key comes back with the next edit, or with the resync. */
const isFinal = (error: unknown): boolean => error instanceof InvalidInput

async function resync(context: Context, queues: Queues, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await context.clock.sleep(RESYNC_MS, signal).catch(() => undefined)
    if (!signal.aborted) enqueueAll(context, queues)
  }
}
