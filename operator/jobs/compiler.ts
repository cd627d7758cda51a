import type { JobEntry } from '../../core/records/entry.ts'
import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Blocked } from '../compile/blocked.ts'
import type { CompileInputsCache } from '../compile/compile-inputs.ts'
import { type CompiledJob, compileJob, type JobCompilation } from '../compile/compile-job.ts'
import { identify } from '../compile/identify.ts'
import { sealValues } from '../compile/seal-values.ts'
import type { Sources } from '../compile/value-sources.ts'
import type { Context } from '../context.ts'
import { nameKey, type ObjectName } from '../object-name.ts'
import { recordCompileResult } from '../status/compile-results.ts'
import type { Desired } from './job-state.ts'
import type { DesiredJob, JobCompiler } from './reconcile.ts'
import { createSecretGrace, type SecretGrace } from './secret-grace.ts'

type Deps = Pick<Context, 'identity' | 'mirrors' | 'compileResults' | 'resources' | 'clock' | 'log'>

export function createJobCompiler(
  context: Deps,
  { sources, inputs }: { sources: Sources; inputs: CompileInputsCache },
): JobCompiler {
  return new Compiler(context, sources, inputs)
}

class Compiler implements JobCompiler {
  readonly #context: Deps
  readonly #sources: Sources
  readonly #inputs: CompileInputsCache
  readonly #grace: SecretGrace

  constructor(context: Deps, sources: Sources, inputs: CompileInputsCache) {
    this.#context = context
    this.#sources = sources
    this.#inputs = inputs
    this.#grace = createSecretGrace(context.clock)
  }

  forget(name: ObjectName): void {
    const key = nameKey(name)
    this.#grace.forget(key)
    this.#sources.forget(`job ${key}`)
    this.#context.compileResults.forget('ShellCronJob', name)
  }

  async desired(object: ShellCronJob): Promise<DesiredJob> {
    const compilation = await this.#compile(object)
    const refused = compilation.kind === 'blocked' ? compilation : undefined
    const before = this.#storedEntry(object)
    const again = recordCompileResult(this.#context, 'ShellCronJob', object.metadata, {
      refused,
      before: before?.blocked,
    })
    const { job } = compilation
    if (!job) return { desired: timeless(object, compilation), ...again }
    const lent = this.#grace.lend(nameKey(object.metadata), { refused, before, entry: job.entry })
    if (lent) return { desired: { kind: 'entry', entry: lent.entry }, again: { inMs: lent.leftMs } }
    return { desired: await this.#sealed(job, { refused, before }), ...again }
  }

  async #compile(object: ShellCronJob): Promise<JobCompilation> {
    const { namespace } = identify(object.metadata)
    const user = `job ${nameKey(object.metadata)}`
    const lookedUp = await this.#sources.lookUp(namespace, object.spec.template.spec, user)
    const olderJobs = () => this.#inputs.olderJobs(object)
    return compileJob(object, { ...this.#inputs.get(), lookedUp, olderJobs })
  }

  #storedEntry({ metadata }: ShellCronJob): JobEntry | undefined {
    const { namespace, name, uid } = identify(metadata)
    return this.#context.mirrors.storedJobs(namespace, name).find(({ value }) => value?.uid === uid)?.value
  }

  async #sealed(
    { entry, secret }: CompiledJob,
    { refused, before }: { refused: Blocked | undefined; before: JobEntry | undefined },
  ): Promise<Desired> {
    const sealed = await sealValues(entry, secret, { identity: this.#context.identity, before })
    const blocked = refused ? { blocked: { reason: refused.reason, message: refused.message } } : {}
    return { kind: 'entry', entry: { ...entry, ...blocked, ...sealed } }
  }
}

/** The schedule is invalid: the stored entry is suspended, and no new one is put. */
function timeless({ metadata }: ShellCronJob, compilation: JobCompilation): Desired {
  const { uid, generation } = identify(metadata)
  const { reason, message } =
    compilation.kind === 'blocked' ? compilation : { reason: 'Invalid', message: '' }
  return { kind: 'timeless', uid, generation, blocked: { reason, message } }
}
