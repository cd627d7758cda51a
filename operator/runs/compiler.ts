import { isTarget } from '../../core/fires/placement.ts'
import { placementSchema, type RunEntry } from '../../core/records/entry.ts'
import type { ShellCronJob, ShellRun } from '../../core/schema/objects.ts'
import type { Template } from '../../core/schema/template.ts'
import type { Blocked } from '../compile/blocked.ts'
import type { CompileInputsCache } from '../compile/compile-inputs.ts'
import { compileRun, type RunCompilation } from '../compile/compile-run.ts'
import { identify } from '../compile/identify.ts'
import { sealValues } from '../compile/seal-values.ts'
import type { Sources } from '../compile/value-sources.ts'
import type { Context } from '../context.ts'
import { nameKey, type ObjectName } from '../object-name.ts'
import { recordCompileResult } from '../status/compile-results.ts'
import type { DesiredRun, RunCompiler } from './reconcile.ts'

type Deps = Pick<Context, 'identity' | 'mirrors' | 'compileResults' | 'resources' | 'clock' | 'log'>

export function createRunCompiler(
  context: Deps,
  { sources, inputs }: { sources: Sources; inputs: CompileInputsCache },
): RunCompiler {
  return new Compiler(context, sources, inputs)
}

class Compiler implements RunCompiler {
  readonly #context: Deps
  readonly #sources: Sources
  readonly #inputs: CompileInputsCache

  constructor(context: Deps, sources: Sources, inputs: CompileInputsCache) {
    this.#context = context
    this.#sources = sources
    this.#inputs = inputs
  }

  forget(name: ObjectName): void {
    this.#sources.forget(`run ${nameKey(name)}`)
    this.#context.compileResults.forget('ShellRun', name)
  }

  async desired(object: ShellRun): Promise<DesiredRun> {
    const before = this.#storedEntry(object)
    // A ShellRun is compiled once: later changes of its job do not concern it.
    if (before && !before.blocked) {
      this.#record(object, undefined, undefined)
      return { desired: { kind: 'entry', entry: before, final: false } }
    }
    const compilation = await this.#compile(object)
    const refused = compilation.kind === 'blocked' ? compilation : undefined
    const again = this.#record(object, refused, before)
    const { entry, secret } = compilation.run
    const sealed = await sealValues(entry, secret, { identity: this.#context.identity, before })
    const blocked = refused ? { blocked: { reason: refused.reason, message: refused.message } } : {}
    const final = refused !== undefined && !refused.mendable
    return { desired: { kind: 'entry', entry: { ...entry, ...sealed, ...blocked }, final }, ...again }
  }

  #record({ metadata }: ShellRun, refused: Blocked | undefined, before: RunEntry | undefined) {
    return recordCompileResult(this.#context, 'ShellRun', metadata, { refused, before: before?.blocked })
  }

  async #compile(object: ShellRun): Promise<RunCompilation> {
    const job = this.#jobOf(object)
    const template = object.spec.template ?? job?.spec.template
    const { namespace } = identify(object.metadata)
    const lookedUp = template
      ? await this.#sources.lookUp(namespace, template.spec, `run ${nameKey(object.metadata)}`)
      : () => undefined
    const members = (of: Template) => this.#membersOf(of)
    return compileRun(object, { ...this.#inputs.get(), lookedUp, job, members })
  }

  #storedEntry({ metadata }: ShellRun): RunEntry | undefined {
    const { namespace, name, uid } = identify(metadata)
    return this.#context.mirrors.storedRuns(namespace, name).find(({ value }) => value?.uid === uid)?.value
  }

  #jobOf({ spec, metadata }: ShellRun): ShellCronJob | undefined {
    const { jobRef } = spec
    const job = jobRef && this.#context.resources.get('ShellCronJob', metadata.namespace ?? '', jobRef.name)
    return job?.metadata.deletionTimestamp ? undefined : job
  }

  #membersOf({ spec: { target } }: Template): string[] {
    const placement = placementSchema.parse(target)
    return this.#context.mirrors
      .membersOf(target.pool)
      .filter(({ agent, member }) => isTarget(placement, agent, member))
      .map(({ agent }) => agent)
  }
}
