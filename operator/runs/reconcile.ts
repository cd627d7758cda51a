import type { ShellRun } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import type { Context } from '../context.ts'
import { prepareFinalizer, setFinalizer } from '../finalizer.ts'
import { nameKey, type ObjectName, parseNameKey } from '../object-name.ts'
import { applyPlan } from './apply-plan.ts'
import { observeRun } from './observe.ts'
import { planRun, type RunPlan, type RunState } from './plan.ts'
import { createTtl, type Ttl } from './ttl.ts'

export interface RunReconciler {
  /** `key`: `<namespace>/<name>`. */
  reconcile(key: string, signal: AbortSignal): Promise<Again>
  /** The ShellRun waits for runs to end: it must be reconciled when one of its cells changes. */
  isWaiting(key: string): boolean
}

/** What etcd should say of an object, and when to look again even if nothing changes. */
export interface DesiredRun {
  desired: RunState['desired']
  again?: Again
}

export interface RunCompiler {
  desired(object: ShellRun): Promise<DesiredRun>
  forget(name: ObjectName): void
}

/** After this many stages the ShellRun is queued again, so that it cannot occupy a worker forever. */
const MAX_STAGES = 10
const WAITING_RESYNC_MS = 5_000
/** A request whose lease has expired is put again within this, ms. */
const REQUEST_RESYNC_MS = 20_000

export function createRunReconciler(context: Context, compiler: RunCompiler): RunReconciler {
  return new Reconciler(context, compiler)
}

class Reconciler implements RunReconciler {
  readonly #context: Context
  readonly #compiler: RunCompiler
  readonly #ttl: Ttl
  readonly #waiting = new Set<string>()
  /** By ShellRun, the pool in which this process has put its entry. The mirrors may not show it yet. */
  readonly #poolWritten = new Map<string, string>()

  constructor(context: Context, compiler: RunCompiler) {
    this.#context = context
    this.#compiler = compiler
    this.#ttl = createTtl(context)
  }

  isWaiting(key: string): boolean {
    return this.#waiting.has(key)
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Again> {
    const { resources } = this.#context
    const name = parseNameKey(key)
    const object = resources.get('ShellRun', name.namespace, name.name)
    // The object exists, but this version cannot read it: its entry stays as it is.
    if (!object && resources.unreadable('ShellRun', name.namespace, name.name)) return undefined
    const { desired, again } = await this.#desired(object)
    if (object && !(await prepareFinalizer(resources, object, desired))) return undefined
    // Set before etcd is read: a run may end right after the read.
    this.#waiting.add(key)
    const then = await this.#converge(name, desired, signal)
    if (then !== 'wait' && then !== 'running') this.#waiting.delete(key)
    switch (then) {
      case 'again':
        return { inMs: 0 }
      case 'wait':
        return { inMs: WAITING_RESYNC_MS }
      case 'running':
        return undefined
      case 'done':
        if (object && desired.kind !== 'gone') return this.#ttl.ended(object)
        return this.#forget(key, object)
      default:
        return this.#whileUnclaimed(then.until, again)
    }
  }

  async #desired(object: ShellRun | undefined): Promise<DesiredRun> {
    if (!object || object.metadata.deletionTimestamp) return { desired: { kind: 'gone', kill: true } }
    if (this.#context.draining()) return { desired: { kind: 'gone', kill: false } }
    return this.#compiler.desired(object)
  }

  /** Observes, plans and applies, until the plan is done or has to wait. */
  async #converge(
    name: ObjectName,
    desired: RunState['desired'],
    signal: AbortSignal,
  ): Promise<RunPlan['then']> {
    const key = nameKey(name)
    for (let stage = 0; stage < MAX_STAGES; stage++) {
      signal.throwIfAborted()
      const written = this.#poolWritten.get(key)
      const plan = planRun(await observeRun(this.#context, name, { desired, written }))
      for (const step of plan.steps) if (step.do === 'put') this.#poolWritten.set(key, step.entry.pool)
      await applyPlan(this.#context, plan.steps, signal)
      if (plan.then !== 'again') return plan.then
    }
    return 'again'
  }

  /** Some target is unclaimed, and may be claimed until `until`. */
  #whileUnclaimed(until: number, again: Again): Again {
    const inMs = Math.min(Math.max(until - this.#context.clock.now(), 0), REQUEST_RESYNC_MS)
    return { inMs: Math.min(inMs, again?.inMs ?? inMs) }
  }

  async #forget(key: string, object: ShellRun | undefined): Promise<undefined> {
    this.#poolWritten.delete(key)
    this.#ttl.forget(key)
    this.#compiler.forget(parseNameKey(key))
    if (object) await setFinalizer(this.#context.resources, object, false)
  }
}
