import type { Metadata } from '../../core/schema/objects.ts'
import { STALLED_AFTER_MS } from '../../core/status/blocked-conditions.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Again } from '../../platform/work-queue.ts'
import type { Blocked } from '../compile/blocked.ts'
import { identify } from '../compile/identify.ts'
import type { ObjectName } from '../object-name.ts'
import type { Resources } from '../resources/port.ts'

/** The last compile result of an object, from which its conditions are built. Kept in memory: every start compiles all objects again. */
export interface CompileResult {
  uid: string
  generation: number
  /** undefined: the object compiled. */
  blocked?: Omit<Blocked, 'kind'>
  /** Since when it has been blocked for this reason, Unix ms. */
  since: number
  /** Whether it is Stalled instead of Reconciling: only an edit helps, or no other object has fixed it in time. */
  stalled: boolean
}

export type CompiledKind = 'ShellCronJob' | 'ShellRun'

export interface CompileResults {
  get(kind: CompiledKind, namespace: string, name: string): CompileResult | undefined
  /** The objects that are blocked. */
  blocked(): { kind: CompiledKind; namespace: string; name: string }[]
  /** True if the result differs from the last one. */
  set(kind: CompiledKind, of: ObjectName, result: CompileResult): boolean
  forget(kind: CompiledKind, of: ObjectName): void
  /** The listener is called when a result has changed or is forgotten. */
  onChange(listener: (kind: CompiledKind, of: ObjectName) => void): void
}

export function createCompileResults(): CompileResults {
  const known = new Map<string, CompileResult>()
  const blocked = new Set<string>()
  const listeners: Parameters<CompileResults['onChange']>[0][] = []
  const keyOf = (kind: CompiledKind, { namespace, name }: ObjectName) => `${kind}/${namespace}/${name}`
  const notify = (kind: CompiledKind, of: ObjectName) => {
    for (const listener of listeners) listener(kind, of)
  }
  return {
    get: (kind, namespace, name) => known.get(keyOf(kind, { namespace, name })),
    blocked: () =>
      [...blocked].map(key => {
        const [kind = '', namespace = '', name = ''] = key.split('/')
        return { kind: kind as CompiledKind, namespace, name }
      }),
    set(kind, of, result) {
      const key = keyOf(kind, of)
      const before = known.get(key)
      known.set(key, result)
      if (result.blocked) blocked.add(key)
      else blocked.delete(key)
      const same = before !== undefined && isSameResult(before, result)
      if (!same) notify(kind, of)
      return !same
    },
    forget(kind, of) {
      blocked.delete(keyOf(kind, of))
      if (known.delete(keyOf(kind, of))) notify(kind, of)
    },
    onChange: listener => void listeners.push(listener),
  }
}

function isSameResult(a: CompileResult, b: CompileResult): boolean {
  return (
    a.uid === b.uid &&
    a.generation === b.generation &&
    a.stalled === b.stalled &&
    a.blocked?.reason === b.blocked?.reason &&
    a.blocked?.message === b.blocked?.message
  )
}

/**
 * Records a compile result, and writes an Event if the object is newly refused. Returns when to compile again: when a refusal that another
 * object may fix becomes Stalled. `before`: the refusal in the stored entry, which survives a restart.
 */
export function recordCompileResult(
  {
    compileResults,
    resources,
    clock,
    log,
  }: { compileResults: CompileResults; resources: Resources; clock: Clock; log: Log },
  kind: CompiledKind,
  metadata: Metadata,
  {
    refused,
    before,
  }: { refused: Blocked | undefined; before: { reason: string; since?: number | undefined } | undefined },
): { again?: Again } {
  const { namespace, name, uid, generation } = identify(metadata)
  const last = compileResults.get(kind, namespace, name)
  const now = clock.now()
  const known = [last?.blocked && { reason: last.blocked.reason, since: last.since }, before]
  const since = known.find(each => refused && each?.reason === refused.reason)?.since ?? now
  const left = refused?.mendable ? since + STALLED_AFTER_MS - now : 0
  const result: CompileResult = {
    uid,
    generation,
    since,
    stalled: refused !== undefined && left <= 0,
    ...(refused
      ? { blocked: { reason: refused.reason, message: refused.message, mendable: refused.mendable } }
      : {}),
  }
  const isNew = compileResults.set(kind, { namespace, name }, result)
  if (refused && isNew) {
    const { reason, message } = refused
    resources.event({ kind, namespace, name }, uid, { type: 'Warning', reason, message })
    log.info({ kind, namespace, name, reason, stalled: result.stalled }, 'object.blocked')
  }
  return refused && left > 0 ? { again: { inMs: left } } : {}
}
