import { CLOCK_SET_BACK, clockWasAhead } from '../../core/fires/clock-epoch.ts'
import { createInterner } from '../../core/interner.ts'
import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import { prepareFinalizer, setFinalizer } from '../finalizer.ts'
import { nameKey, type ObjectName, parseNameKey } from '../object-name.ts'
import { applyPlan } from './apply-plan.ts'
import type { Desired, JobState, Plan, Step } from './job-state.ts'
import { mirroredJob, observeJob } from './observe.ts'
import { planJob } from './plan.ts'

/** Ends an active run of a job: `shellcron.dev/kill: <runId>` on its ShellCronJob. */
export const KILL_ANNOTATION = 'shellcron.dev/kill'

export interface JobReconciler {
  /** `key`: `<namespace>/<name>`. */
  reconcile(key: string, signal: AbortSignal): Promise<Again>
  /** The job waits for runs to end: it must be reconciled when one of its cells changes. */
  isWaiting(key: string): boolean
}

/** What etcd should say of an object, and when to look again even if nothing changes. */
export interface DesiredJob {
  desired: Desired
  again?: Again
}

export interface JobCompiler {
  desired(object: ShellCronJob): Promise<DesiredJob>
  forget(name: ObjectName): void
}

/** After this many stages the job is queued again, so that one job cannot occupy a worker forever. */
const MAX_STAGES = 20
const RESYNC_MS = { wait: 5_000, stale: 1_000, again: 0 }

export function createJobReconciler(context: Context, compiler: JobCompiler): JobReconciler {
  return new Reconciler(context, compiler)
}

class Reconciler implements JobReconciler {
  readonly #context: Context
  readonly #compiler: JobCompiler
  readonly #waiting = new Set<string>()
  /** By job, the pools in which this process has put an entry. The mirrors may not show it yet. */
  readonly #poolsWritten = new Map<string, readonly string[]>()
  readonly #intern = createInterner()

  constructor(context: Context, compiler: JobCompiler) {
    this.#context = context
    this.#compiler = compiler
  }

  isWaiting(key: string): boolean {
    return this.#waiting.has(key)
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Again> {
    const { resources } = this.#context
    const name = parseNameKey(key)
    const object = resources.get('ShellCronJob', name.namespace, name.name)
    // The object exists, but this version cannot read it: its entry stays as it is.
    if (!object && resources.unreadable('ShellCronJob', name.namespace, name.name)) return undefined
    const { desired, again } = await this.#desired(object)
    if (object && !(await prepareFinalizer(resources, object, desired))) return undefined
    const kill = object?.metadata.annotations?.[KILL_ANNOTATION]
    // Set before etcd is read: a run may end right after the read.
    this.#waiting.add(key)
    const then = await this.#converge(name, { desired, ...(kill ? { kill } : {}) }, signal)
    if (then !== 'done') return { inMs: RESYNC_MS[then] }
    this.#waiting.delete(key)
    if (desired.kind === 'gone') await this.#forget(name, object)
    else if (object && kill) await this.#removeKillAnnotation(object)
    return again
  }

  async #desired(object: ShellCronJob | undefined): Promise<DesiredJob> {
    if (!object || object.metadata.deletionTimestamp) return { desired: { kind: 'gone', kill: true } }
    if (this.#context.draining()) return { desired: { kind: 'gone', kill: false } }
    return this.#compiler.desired(object)
  }

  /** Observes, plans and applies, until the plan is done or has to wait. */
  async #converge(
    name: ObjectName,
    goal: { desired: Desired; kill?: string },
    signal: AbortSignal,
  ): Promise<Plan['then']> {
    if (this.#isDoneByMirrors(name, goal)) return 'done'
    for (let stage = 0; stage < MAX_STAGES; stage++) {
      signal.throwIfAborted()
      const pools = this.#poolsWritten.get(nameKey(name)) ?? []
      const state = await observeJob(this.#context, name, { ...goal, pools })
      const plan = planJob(state)
      for (const step of plan.steps) if (step.do === 'put') this.#rememberPool(name, step.pool)
      await applyPlan(this.#context, plan.steps, signal)
      this.#reportClock(state, plan.steps)
      if (plan.then !== 'again') return plan.then
    }
    return 'again'
  }

  #rememberPool(name: ObjectName, pool: string): void {
    const pools = this.#poolsWritten.get(nameKey(name)) ?? []
    if (!pools.includes(pool)) this.#poolsWritten.set(nameKey(name), this.#intern([...pools, pool]))
  }

  /** The mirrors may lag. They can prove that nothing is to be done, but never that an entry or a run is gone. */
  #isDoneByMirrors(name: ObjectName, { desired, kill }: { desired: Desired; kill?: string }): boolean {
    if (desired.kind === 'gone' || kill) return false
    const { steps, then } = planJob(mirroredJob(this.#context, name, desired))
    return steps.length === 0 && then === 'done'
  }

  /** A new clock epoch has begun. */
  #reportClock({ stored: [before] }: JobState, steps: readonly Step[]): void {
    const { resources, log } = this.#context
    for (const step of steps) {
      if (step.do !== 'put' && step.do !== 'move') continue
      const { namespace, name, uid, clockEpoch, clockSetBack } = step.entry
      if (!clockSetBack || clockEpoch === before?.value?.clockEpoch) continue
      log.warn({ job: `${namespace}/${name}`, clockEpoch, ...clockSetBack }, 'clock.setBack')
      const message = clockWasAhead(clockSetBack)
      resources.event({ kind: 'ShellCronJob', namespace, name }, uid, {
        type: 'Warning',
        reason: CLOCK_SET_BACK,
        message,
      })
    }
  }

  async #forget(name: ObjectName, object: ShellCronJob | undefined): Promise<void> {
    this.#poolsWritten.delete(nameKey(name))
    this.#compiler.forget(name)
    if (object) await setFinalizer(this.#context.resources, object, false)
  }

  /** The run that the annotation names has ended. */
  async #removeKillAnnotation({ metadata }: ShellCronJob): Promise<void> {
    const { namespace, name, uid } = identify(metadata)
    const ref = { kind: 'ShellCronJob' as const, namespace, name }
    await this.#context.resources.annotate(ref, uid, { [KILL_ANNOTATION]: null })
  }
}
