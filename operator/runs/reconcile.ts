import { runEntrySchema } from '../../core/records/entry.ts'
import { cellSchema } from '../../core/records/state.ts'
import type { ShellRun } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { parseVersioned } from '../../store/protocol/versioned.ts'
import { runRequestId } from '../agent-requests.ts'
import { identify } from '../compile/identify.ts'
import type { Context } from '../context.ts'
import { signed } from '../etcd-mirrors.ts'
import type { Name } from '../jobs/observe.ts'
import { nameOf } from '../jobs/reconcile.ts'
import { FINALIZER } from '../resources/port.ts'
import { applyPlan } from './apply-plan.ts'
import { planRun, type RunWorld } from './plan.ts'
import { createTtl } from './ttl.ts'

export interface RunReconciler {
  /** `key`: `<namespace>/<name>`. */
  reconcile(key: string, signal: AbortSignal): Promise<Again>
  /** It waits for runs to end: a change of its cells is worth a look. */
  isWaiting(key: string): boolean
}

export interface RunCompiler {
  desired(object: ShellRun): Promise<{ desired: RunWorld['desired']; again?: Again }>
  forget(of: Name): void
}

const MOST_STAGES = 10
const WAITING_RESYNC_MS = 5_000
/** A request that went with its lease is put again within this, ms. */
const REQUEST_RESYNC_MS = 20_000

export function createRunReconciler(context: Context, compiler: RunCompiler): RunReconciler {
  const { resources, mirrors, etcd, keys, clock, identity } = context
  const putIn = new Map<string, string>()
  const waiting = new Set<string>()
  const ttl = createTtl(context)

  async function finalized(object: ShellRun, present: boolean): Promise<boolean> {
    const { namespace, name, uid } = identify(object.metadata)
    if ((object.metadata.finalizers?.includes(FINALIZER) ?? false) === present) return true
    const ref = { kind: 'ShellRun' as const, namespace, name }
    return (await resources.setFinalizer(ref, uid, present)) === 'applied'
  }

  async function desiredOf(
    object: ShellRun | undefined,
  ): Promise<{ desired: RunWorld['desired']; again?: Again }> {
    if (!object || object.metadata.deletionTimestamp) return { desired: { kind: 'gone', kill: true } }
    if (context.draining()) return { desired: { kind: 'gone', kill: false } }
    return compiler.desired(object)
  }

  async function read(of: Name, desired: RunWorld['desired']): Promise<RunWorld> {
    const key = `${of.namespace}/${of.name}`
    const pools = new Set<string>()
    for (const { pool } of mirrors.storedRuns(of.namespace, of.name)) pools.add(pool)
    for (const { ref } of mirrors.cellsOf('run', of.namespace, of.name)) pools.add(ref.pool)
    const put = putIn.get(key)
    if (put) pools.add(put)
    if (desired.kind === 'entry') pools.add(desired.entry.pool)
    const stored: RunWorld['stored'][number][] = []
    const cells: RunWorld['cells'][number][] = []
    const readEntry = signed(identity.publicKey, runEntrySchema)
    for (const pool of pools) {
      const at = keys.run({ pool, ...of })
      const item = await etcd.get(at)
      if (item) stored.push({ pool, key: at, mod: item.mod, value: readEntry(item) })
      for (const cell of (await etcd.list(keys.cellsOf({ pool, kind: 'run', ...of }))).items) {
        const ref = keys.parseCell(cell.key)
        if (ref) cells.push({ ref, ...parseVersioned(cellSchema, cell.key, cell) })
      }
    }
    const pool = desired.kind === 'entry' ? desired.entry.pool : ''
    const hasRequest = (target: string) =>
      mirrors.requests.get(keys.request(pool, runRequestId({ ...of, target }))) !== undefined
    const lives = (target: string) => mirrors.sessionOf(pool, target) !== undefined
    return { now: clock.now(), desired, stored, cells, hasRequest, lives }
  }

  async function drive(of: Name, desired: RunWorld['desired'], signal: AbortSignal) {
    for (let stage = 0; stage < MOST_STAGES; stage++) {
      signal.throwIfAborted()
      const plan = planRun(await read(of, desired))
      for (const step of plan.steps)
        if (step.do === 'put') putIn.set(`${of.namespace}/${of.name}`, step.entry.pool)
      await applyPlan(context, plan.steps, signal)
      if (plan.then !== 'again') return plan.then
    }
    return 'again' as const
  }

  /** Its finalizer comes before its keys; in draining it goes before them. false: the object is another one by now. */
  async function prepared(object: ShellRun, desired: RunWorld['desired']): Promise<boolean> {
    if (desired.kind !== 'gone') return finalized(object, true)
    if (!desired.kill) await finalized(object, false)
    return true
  }

  async function farewell(key: string, object: ShellRun | undefined): Promise<undefined> {
    putIn.delete(key)
    ttl.forget(key)
    compiler.forget(nameOf(key))
    if (object) await finalized(object, false)
    return undefined
  }

  /** When to look again at one that is open until `until`. */
  function openUntil(until: number, again: Again): Again {
    const inMs = Math.min(Math.max(until - clock.now(), 0), REQUEST_RESYNC_MS)
    return { inMs: Math.min(inMs, again?.inMs ?? inMs) }
  }

  return {
    isWaiting: key => waiting.has(key),
    async reconcile(key, signal) {
      const of = nameOf(key)
      const object = resources.get('ShellRun', of.namespace, of.name)
      // It exists, and is not understood here: what stands for it goes on.
      if (!object && resources.unreadable('ShellRun', of.namespace, of.name)) return undefined
      const { desired, again } = await desiredOf(object)
      if (object && !(await prepared(object, desired))) return undefined
      // Before the look: a run may end right after it.
      waiting.add(key)
      const then = await drive(of, desired, signal)
      if (then !== 'wait' && then !== 'running') waiting.delete(key)
      switch (then) {
        case 'again':
          return { inMs: 0 }
        case 'wait':
          return { inMs: WAITING_RESYNC_MS }
        case 'running':
          return undefined
        case 'done':
          return object && desired.kind !== 'gone' ? ttl.ended(object) : farewell(key, object)
        default:
          return openUntil(then.until, again)
      }
    },
  }
}
