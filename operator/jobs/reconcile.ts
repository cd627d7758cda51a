import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import { FINALIZER } from '../resources/port.ts'
import { applyPlan } from './apply-plan.ts'
import type { Desired, Plan } from './job-world.ts'
import { mirrored, type Name, read } from './observe.ts'
import { planJob } from './plan.ts'

/** Ends an active run of a job: `shellcron.dev/kill: <runId>` on its ShellCronJob. */
export const KILL_ANNOTATION = 'shellcron.dev/kill'

export interface JobReconciler {
  /** `key`: `<namespace>/<name>`. */
  reconcile(key: string, signal: AbortSignal): Promise<Again>
  /** It waits for runs to end: a change of its cells is worth a look. */
  isWaiting(key: string): boolean
}

/** What an object should be in etcd, and when to look again even if nothing changes. */
export interface JobCompiler {
  desired(object: ShellCronJob): Promise<{ desired: Desired; again?: Again }>
  forget(of: Name): void
}

/** A plan that needs more stages than this is looked at again later, so that one job cannot hold a worker for ever. */
const MOST_STAGES = 20
const RESYNC_MS = { wait: 5_000, stale: 1_000, again: 0 }

export function createJobReconciler(context: Context, compiler: JobCompiler): JobReconciler {
  const { resources } = context
  const waiting = new Set<string>()
  /** Pools in which this life has put an entry: the mirrors may not show it yet. */
  const putIn = new Map<string, Set<string>>()

  async function finalized(object: ShellCronJob, present: boolean): Promise<boolean> {
    const { namespace, name, uid } = identify(object.metadata)
    const there = object.metadata.finalizers?.includes(FINALIZER) ?? false
    if (there === present) return true
    const ref = { kind: 'ShellCronJob' as const, namespace, name }
    return (await resources.setFinalizer(ref, uid, present)) === 'applied'
  }

  async function desiredOf(object: ShellCronJob | undefined): Promise<{ desired: Desired; again?: Again }> {
    if (!object || object.metadata.deletionTimestamp) return { desired: { kind: 'gone', kill: true } }
    if (context.draining()) return { desired: { kind: 'gone', kill: false } }
    return compiler.desired(object)
  }

  /** Until a plan says that nothing is left, or that it has to wait. */
  async function drive(
    of: Name,
    about: { desired: Desired; kill?: string },
    signal: AbortSignal,
  ): Promise<Plan['then']> {
    const { desired, kill } = about
    const key = `${of.namespace}/${of.name}`
    // The mirrors may be enough to know that nothing is to be done; they never are to know what is gone or has ended.
    if (desired.kind !== 'gone' && !kill) {
      const glance = planJob(mirrored(context, of, desired))
      if (glance.steps.length === 0 && glance.then === 'done') return 'done'
    }
    const pools = putIn.get(key) ?? new Set<string>()
    putIn.set(key, pools)
    for (let stage = 0; stage < MOST_STAGES; stage++) {
      signal.throwIfAborted()
      const plan = planJob(await read(context, of, { ...about, pools }))
      for (const step of plan.steps) if (step.do === 'put') pools.add(step.pool)
      await applyPlan(context, plan.steps, signal)
      if (plan.then !== 'again') return plan.then
    }
    return 'again'
  }

  /** Its finalizer comes before its keys; in draining it goes before them. false: the object is another one by now. */
  async function prepared(object: ShellCronJob, desired: Desired): Promise<boolean> {
    if (desired.kind !== 'gone') return finalized(object, true)
    if (!desired.kill) await finalized(object, false)
    return true
  }

  return {
    isWaiting: key => waiting.has(key),
    async reconcile(key, signal) {
      const of = nameOf(key)
      const object = resources.get('ShellCronJob', of.namespace, of.name)
      // It exists, and is not understood here: what stands for it goes on.
      if (!object && resources.unreadable('ShellCronJob', of.namespace, of.name)) return undefined
      const { desired, again } = await desiredOf(object)
      if (object && !(await prepared(object, desired))) return undefined
      const kill = object?.metadata.annotations?.[KILL_ANNOTATION]
      // Before the look: a run may end right after it.
      waiting.add(key)
      const then = await drive(of, { desired, ...(kill ? { kill } : {}) }, signal)
      if (then !== 'done') return { inMs: RESYNC_MS[then] }
      waiting.delete(key)
      if (desired.kind === 'gone') await farewell(key, of, object)
      else if (object && kill) await annotated(object)
      return again
    },
  }

  async function farewell(key: string, of: Name, object: ShellCronJob | undefined): Promise<void> {
    putIn.delete(key)
    compiler.forget(of)
    if (object) await finalized(object, false)
  }

  /** The run that was to be ended has ended. */
  async function annotated({ metadata }: ShellCronJob): Promise<void> {
    const { namespace, name, uid } = identify(metadata)
    await resources.annotate({ kind: 'ShellCronJob', namespace, name }, uid, { [KILL_ANNOTATION]: null })
  }
}

export function nameOf(key: string): Name {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
