import type { Metadata } from '../../core/schema/objects.ts'
import { STALLED_AFTER_MS } from '../../core/status/blocked-conditions.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Again } from '../../platform/work-queue.ts'
import type { Blocked } from '../compile/blocked.ts'
import { identify } from '../compile/identify.ts'
import type { Resources } from '../resources/port.ts'

/** What the compiler said last of each object: its conditions are built from it. In memory; every start compiles all anew. */
export interface CompileResult {
  uid: string
  generation: number
  /** undefined: it compiled. */
  blocked?: Omit<Blocked, 'kind'>
  /** Since when it has been blocked with this reason, ms since the epoch. */
  since: number
  /** Only an edit helps, or what could have mended it did not come in time: Stalled, no longer Reconciling. */
  stalled: boolean
}

export type CompiledKind = 'ShellCronJob' | 'ShellRun'

interface Name {
  namespace: string
  name: string
}

export interface CompileResults {
  get(kind: CompiledKind, namespace: string, name: string): CompileResult | undefined
  /** Those that are blocked. */
  blocked(): { kind: CompiledKind; namespace: string; name: string }[]
  /** Answers whether it is another one than before. */
  set(kind: CompiledKind, of: Name, verdict: CompileResult): boolean
  forget(kind: CompiledKind, of: Name): void
  /** A verdict is another one than before, or gone. */
  onChange(listener: (kind: CompiledKind, of: Name) => void): void
}

export function createCompileResults(): CompileResults {
  const known = new Map<string, CompileResult>()
  const blocked = new Set<string>()
  const listeners: Parameters<CompileResults['onChange']>[0][] = []
  const keyOf = (kind: CompiledKind, { namespace, name }: Name) => `${kind}/${namespace}/${name}`
  const tell = (kind: CompiledKind, of: Name) => {
    for (const listener of listeners) listener(kind, of)
  }
  return {
    get: (kind, namespace, name) => known.get(keyOf(kind, { namespace, name })),
    blocked: () =>
      [...blocked].map(key => {
        const [kind = '', namespace = '', name = ''] = key.split('/')
        return { kind: kind as CompiledKind, namespace, name }
      }),
    set(kind, of, verdict) {
      const key = keyOf(kind, of)
      const before = known.get(key)
      known.set(key, verdict)
      if (verdict.blocked) blocked.add(key)
      else blocked.delete(key)
      const same = before !== undefined && isSameResult(before, verdict)
      if (!same) tell(kind, of)
      return !same
    },
    forget(kind, of) {
      blocked.delete(keyOf(kind, of))
      if (known.delete(keyOf(kind, of))) tell(kind, of)
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
 * Records what the compiler said, and tells who edits the object if it is new. Answers when to look again: when a mendable refusal
 * turns into a stalled one. `before`: how the entry that stands is blocked, which a restart remembers.
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
  const verdict: CompileResult = {
    uid,
    generation,
    since,
    stalled: refused !== undefined && left <= 0,
    ...(refused
      ? { blocked: { reason: refused.reason, message: refused.message, mendable: refused.mendable } }
      : {}),
  }
  const isNew = compileResults.set(kind, { namespace, name }, verdict)
  if (refused && isNew) {
    const { reason, message } = refused
    resources.event({ kind, namespace, name }, uid, { type: 'Warning', reason, message })
    log.info({ kind, namespace, name, reason, stalled: verdict.stalled }, 'object.blocked')
  }
  return refused && left > 0 ? { again: { inMs: left } } : {}
}
