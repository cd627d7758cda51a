import { isTarget } from '../../core/fires/placement.ts'
import { placementSchema } from '../../core/records/entry.ts'
import type { ShellRun } from '../../core/schema/objects.ts'
import type { Template } from '../../core/schema/template.ts'
import type { CompileInputsCache } from '../compile/compile-inputs.ts'
import { compileRun } from '../compile/compile-run.ts'
import { identify } from '../compile/identify.ts'
import { sealValues } from '../compile/seal-values.ts'
import type { Sources } from '../compile/value-sources.ts'
import type { Context } from '../context.ts'
import { recordCompileResult } from '../status/compile-results.ts'
import type { RunCompiler } from './reconcile.ts'

type Deps = Pick<Context, 'identity' | 'mirrors' | 'compileResults' | 'resources' | 'clock' | 'log'>

export function createRunCompiler(
  context: Deps,
  { sources, inputs }: { sources: Sources; inputs: CompileInputsCache },
): RunCompiler {
  const { resources, mirrors, identity } = context

  const members = ({ spec: { target } }: Template): string[] => {
    const placement = placementSchema.parse(target)
    return mirrors
      .membersOf(target.pool)
      .filter(({ agent, member }) => isTarget(placement, agent, member))
      .map(({ agent }) => agent)
  }

  const jobOf = (object: ShellRun) => {
    const { jobRef } = object.spec
    const job = jobRef && resources.get('ShellCronJob', object.metadata.namespace ?? '', jobRef.name)
    return job?.metadata.deletionTimestamp ? undefined : job
  }

  return {
    forget({ namespace, name }) {
      sources.forget(`run ${namespace}/${name}`)
      context.compileResults.forget('ShellRun', { namespace, name })
    },
    async desired(object) {
      const { namespace, name, uid } = identify(object.metadata)
      const standing = mirrors.storedRuns(namespace, name).find(({ value }) => value?.uid === uid)?.value
      // Compiled once: what the job becomes later is not this run's affair.
      if (standing && !standing.blocked) {
        recordCompileResult(context, 'ShellRun', object.metadata, { refused: undefined, before: undefined })
        return { desired: { kind: 'entry', entry: standing, final: false } }
      }
      const job = jobOf(object)
      const template = object.spec.template ?? job?.spec.template
      const lookedUp = template
        ? await sources.lookUp(namespace, template.spec, `run ${namespace}/${name}`)
        : () => undefined
      const compilation = compileRun(object, { ...inputs.get(), lookedUp, job, members })
      const refused = compilation.kind === 'blocked' ? compilation : undefined
      const again = recordCompileResult(context, 'ShellRun', object.metadata, {
        refused,
        before: standing?.blocked,
      })
      const { entry, secret } = compilation.run
      const sealed = await sealValues(entry, secret, { identity, before: standing })
      const blocked = refused ? { blocked: { reason: refused.reason, message: refused.message } } : {}
      return {
        desired: {
          kind: 'entry',
          entry: { ...entry, ...sealed, ...blocked },
          final: refused !== undefined && !refused.mendable,
        },
        ...again,
      }
    },
  }
}
