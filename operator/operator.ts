import { InvalidInput } from '../core/errors.ts'
import type { Keys } from '../core/keys.ts'
import { createBackoff } from '../platform/backoff.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import { createQueue, type Queue, type QueueOptions } from '../platform/work-queue.ts'
import { createBatcher } from '../store/etcd/batcher.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { createAgentRequests } from './agent-requests.ts'
import { createCompileInputs } from './compile/compile-inputs.ts'
import { createSources } from './compile/value-sources.ts'
import type { Context } from './context.ts'
import { type EtcdMirrors, mirrorEtcd } from './etcd-mirrors.ts'
import { enqueueAll, type Queues, registerEventHandlers } from './event-handlers.ts'
import { type AwaitedAgent, createFirstComparison, type FirstComparison } from './first-comparison.ts'
import type { Identity } from './identity/identity.ts'
import { type IdentityOptions, reconcileIdentities } from './identity/reconcile-identities.ts'
import { createSealAnew } from './identity/seal-anew.ts'
import { createJobCompiler } from './jobs/compiler.ts'
import { createJobReconciler } from './jobs/reconcile.ts'
import { reconcileMembers } from './members/reconcile.ts'
import { createOwnWrites } from './own-writes.ts'
import type { Resources } from './resources/port.ts'
import { createRunCompiler } from './runs/compiler.ts'
import { createRunReconciler } from './runs/reconcile.ts'
import { createCompileResults } from './status/compile-results.ts'
import { createSweep } from './sweep/sweep.ts'
import { every } from './until-aborted.ts'
import { type BeaconMemory, openBeacon } from './upkeep/beacon.ts'
import { buryEveryMinute } from './upkeep/bury-in-dead-pools.ts'
import { type ClockLook, createClockLook } from './upkeep/clock-look.ts'
import { removeForgedRequests } from './upkeep/remove-forged-requests.ts'
import { restoreRecords } from './upkeep/restore-records.ts'

/**
 * A leading operator. It watches the objects and etcd, and reconciles etcd with the objects until the signal aborts.
 *
 *   objects, etcd ─▶ event handlers ─▶ queues ─▶ reconcilers ─▶ etcd
 *                                      sweep, burial, beacon ─┘
 */
export interface OperatorOptions {
  etcd: Etcd
  keys: Keys
  clock: Clock
  log: Log
  identity: Identity
  /** Must have been started. */
  resources: Resources
  memory: BeaconMemory
  allowWithoutPolicy: boolean
  /** New jobs are compiled when this agent is Ready, or a minute later. */
  awaitedAgent?: AwaitedAgent
  draining(): boolean
  /** etcd's users. undefined: etcd is used without certificates, and so without users. */
  identities?: IdentityOptions | undefined
  /** More tasks that run while this operator leads. */
  tasks?: readonly LeaderTask[]
  /** Called once this operator leads and has read everything. `enqueueAll`: for a change that no watch reports. */
  onLeading?(context: Context, enqueueAll: () => void): void
}

/** Runs until the signal aborts. */
export type LeaderTask = (context: Context, signal: AbortSignal) => Promise<void>

const JOB_WORKERS = 16
const RUN_WORKERS = 8
/** How often every object is reconciled again, in case an event was missed, ms. */
const RESYNC_MS = 1_800_000
const backoff = createBackoff({ firstMs: 500, longestMs: 10_000 })
/** How often to look whether etcd is there again, ms. */
const LOOK_MS = 500

export async function leadOperator(options: OperatorOptions, signal: AbortSignal): Promise<void> {
  const { etcd, keys, clock, log, identity, memory, awaitedAgent: awaited } = options
  identity.reloadPools()
  await enableUsers(options, signal)
  const mirrors = await mirrorEtcd({ etcd, keys, publicKey: identity.publicKey, log }, signal)
  try {
    const all = () => enqueueAll(context, queues)
    const clockLook = createClockLook({ mirrors, keys, clock })
    const onBeat = () => clockLook.look(key => queues.jobs.add(key))
    const beacon = await openBeacon(
      { etcd, key: keys.beacon, memory, clock, log, onEpoch: all, onBeat },
      signal,
    )
    const batcher = createBatcher(etcd)
    const comparison = createFirstComparison({ mirrors, keys, clock, log }, { awaited, open: all })
    const context = createContext(options, { mirrors, batcher, epoch: beacon.epoch, clockLook, comparison })
    const { queues, unregister } = createQueues(context, comparison, options.identities)
    const sweep = createSweep({ ...context, batcher })
    options.onLeading?.(context, all)
    all()
    try {
      await Promise.all([
        queues.fleet.run(signal),
        queues.jobs.run(signal),
        queues.runs.run(signal),
        comparison.run(signal),
        sweep.run(signal),
        beacon.beat(signal),
        buryEveryMinute(context, signal),
        removeForgedRequests(context, signal),
        every({ clock, ms: RESYNC_MS }, signal, all),
        every(
          { clock, ms: LOOK_MS },
          signal,
          onReturn(mirrors, () => retryFailed(queues)),
        ),
        ...(options.tasks ?? []).map(task => task(context, signal)),
      ])
    } finally {
      unregister()
    }
  } finally {
    await mirrors.close()
  }
}

/** Waits for etcd. Then agents can do only what their role says. */
async function enableUsers({ identities, clock, log }: OperatorOptions, signal: AbortSignal): Promise<void> {
  if (!identities) return
  for (let failures = 1; ; failures++) {
    try {
      return await identities.access.enable()
    } catch (error) {
      signal.throwIfAborted()
      log.error({ error: messageOf(error) }, 'etcd.usersNotEnabled')
      await clock.sleep(backoff(failures), signal)
    }
  }
}

/** Calls `act` when etcd is there again. To be called at intervals. */
function onReturn(mirrors: EtcdMirrors, act: () => void): () => void {
  let wasAway = false
  return () => {
    const isAway = !mirrors.synced()
    if (wasAway && !isAway) act()
    wasAway = isAway
  }
}

function retryFailed({ fleet, jobs, runs }: Queues): void {
  for (const queue of [fleet, jobs, runs]) queue.retryFailed()
}

function createContext(
  options: OperatorOptions,
  of: {
    mirrors: EtcdMirrors
    batcher: ReturnType<typeof createBatcher>
    epoch(): number
    clockLook: ClockLook
    comparison: FirstComparison
  },
): Context {
  const { etcd, keys, clock, log, identity, resources, draining, allowWithoutPolicy } = options
  const { mirrors, batcher, epoch, clockLook, comparison } = of
  const requests = createAgentRequests({
    etcd: { lease: etcd.lease, txn: txn => batcher.txn(txn) },
    keys,
    clock,
    sign: identity.sign,
  })
  const compileResults = createCompileResults()
  return {
    etcd,
    keys,
    clock,
    log,
    identity,
    resources,
    mirrors,
    requests,
    writes: createOwnWrites(clock),
    compileResults,
    epoch,
    clockLook,
    compared: comparison.isDone,
    draining,
    allowWithoutPolicy,
  }
}

function createQueues(
  context: Context,
  comparison: FirstComparison,
  identities: IdentityOptions | undefined,
): { queues: Queues; unregister(): void } {
  const { clock, log, resources } = context
  const sources = createSources(resources, clock)
  const inputs = createCompileInputs(context)
  const jobs = createJobReconciler(context, createJobCompiler(context, { sources, inputs }))
  const runs = createRunReconciler(context, createRunCompiler(context, { sources, inputs }))
  const queue = (name: string, concurrency: number, reconcile: QueueOptions['reconcile']): Queue =>
    createQueue({ name, concurrency, clock, log, reconcile, isFinal })
  const sealAnew = createSealAnew(context)
  const queues: Queues = {
    jobs: queue(
      'jobs',
      JOB_WORKERS,
      comparison.watch('jobs', (key, signal) => jobs.reconcile(key, signal)),
    ),
    runs: queue(
      'runs',
      RUN_WORKERS,
      comparison.watch('runs', (key, signal) => runs.reconcile(key, signal)),
    ),
    fleet: queue('fleet', 1, async (_, signal) => {
      if (identities) sealAnew.of(await reconcileIdentities(context, identities))
      await reconcileMembers(context, signal)
      sealAnew.enqueue(queues)
      return undefined
    }),
  }
  // Before the other handlers, so that an entry is restored as it was, and not compiled anew.
  restoreRecords(context, queues)
  return { queues, unregister: registerEventHandlers(context, queues, { jobs, runs, sources, inputs }) }
}

/** A retry cannot fix invalid input. The key comes back with the next edit, or with the resync. */
const isFinal = (error: unknown): boolean => error instanceof InvalidInput
