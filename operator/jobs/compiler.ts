import type { JobEntry } from '../../core/records/entry.ts'
import type { ShellCronJob } from '../../core/schema/objects.ts'
import type { Again } from '../../platform/work-queue.ts'
import { type Blocked } from '../compile/blocked.ts'
import type { CompileInputsCache } from '../compile/compile-inputs.ts'
import { compileJob } from '../compile/compile-job.ts'
import { identify } from '../compile/identify.ts'
import { sealValues } from '../compile/seal-values.ts'
import type { Sources } from '../compile/value-sources.ts'
import type { Context } from '../context.ts'
import { recordCompileResult } from '../status/compile-results.ts'
import type { Desired } from './job-world.ts'
import type { JobCompiler } from './reconcile.ts'

/** While a Secret is absent its last sealed value serves for so long, ms. */
const GRACE_MS = 300_000
const GRACED = /^(Secret|ConfigMap)(NotFound|Forbidden)$|^KeyNotFound$/

type Deps = Pick<Context, 'identity' | 'mirrors' | 'compileResults' | 'resources' | 'clock' | 'log'>

export function createJobCompiler(
  context: Deps,
  { sources, inputs }: { sources: Sources; inputs: CompileInputsCache },
): JobCompiler {
  const { identity, mirrors, clock } = context
  const absentSince = new Map<string, number>()

  const standing = (object: ShellCronJob): JobEntry | undefined => {
    const { namespace, name, uid } = identify(object.metadata)
    return mirrors.storedJobs(namespace, name).find(({ value }) => value?.uid === uid)?.value
  }

  /** What stands may go on for a while without its Secret, if it is what the object still says. */
  const graced = (
    key: string,
    refused: Blocked | undefined,
    before: JobEntry | undefined,
    generation: number,
  ) => {
    if (!refused || !GRACED.test(refused.reason)) {
      absentSince.delete(key)
      return undefined
    }
    if (!before?.sealed || before.blocked || before.generation !== generation) return undefined
    const since = absentSince.get(key) ?? clock.now()
    absentSince.set(key, since)
    const left = since + GRACE_MS - clock.now()
    if (left <= 0) return undefined
    const { sealed, sealedDigest, notSecret } = before
    return { sealed, sealedDigest, ...(notSecret ? { notSecret } : {}), left }
  }

  return {
    forget({ namespace, name }) {
      const key = `${namespace}/${name}`
      absentSince.delete(key)
      sources.forget(`job ${key}`)
      context.compileResults.forget('ShellCronJob', { namespace, name })
    },
    async desired(object): Promise<{ desired: Desired; again?: Again }> {
      const { namespace, name, uid, generation } = identify(object.metadata)
      const key = `${namespace}/${name}`
      const template = object.spec.template.spec
      const lookedUp = await sources.lookUp(namespace, template, `job ${key}`)
      const compilation = compileJob(object, {
        ...inputs.get(),
        lookedUp,
        olderJobs: () => inputs.olderJobs(object),
      })
      const { job } = compilation
      const refused = compilation.kind === 'blocked' ? compilation : undefined
      const before = standing(object)
      const grace = graced(key, refused, before, generation)
      const again = recordCompileResult(context, 'ShellCronJob', object.metadata, {
        refused,
        before: before?.blocked,
      })
      if (!job) {
        const { reason, message } = refused ?? { reason: 'Invalid', message: '' }
        return { desired: { kind: 'timeless', uid, generation, blocked: { reason, message } }, ...again }
      }
      if (grace) {
        const { left, ...sealed } = grace
        // Plain variables are those of the entry that stands: the compilation that failed has none.
        const command = { ...job.entry.command, env: before?.command.env ?? [] }
        return {
          desired: { kind: 'entry', entry: { ...job.entry, command, ...sealed } },
          again: { inMs: left },
        }
      }
      const blocked = refused ? { blocked: { reason: refused.reason, message: refused.message } } : {}
      const sealed = await sealValues(job.entry, job.secret, { identity, before })
      return { desired: { kind: 'entry', entry: { ...job.entry, ...blocked, ...sealed } }, ...again }
    },
  }
}
