import type { RunEntry } from '../../core/records/entry.ts'
import type { ShellCronJob, ShellRun } from '../../core/schema/objects.ts'
import { parametersOf } from '../../core/schema/parameters.ts'
import type { Template } from '../../core/schema/template.ts'
import { validateRun } from '../../core/schema/validate.ts'
import type { Blocked } from './blocked.ts'
import { checkPolicies, limitsOf } from './check-shell-policy.ts'
import { commandOf } from './command.ts'
import type { CompileInputs } from './compile-job.ts'
import { environmentOf, valuesOf } from './env.ts'
import { identify } from './identify.ts'
import { firstRefusal, objectIsValid, RUN_CHECKS, type RunFindings } from './refusals.ts'
import { namedTargets } from './run-targets.ts'

/** Compiles a ShellRun to its entry. Pure. */

export interface CompiledRun {
  entry: Omit<RunEntry, 'sealed' | 'sealedDigest'>
  secret: Record<string, string>
}

export type RunCompilation = { kind: 'compiled'; run: CompiledRun } | (Blocked & { run: CompiledRun })

export interface RunCompileInputs extends CompileInputs {
  /** The job that jobRef names, unless it is being deleted. */
  job: ShellCronJob | undefined
  /** Members of a pool that a template's target selects, alive or not. */
  members(template: Template): readonly string[]
}

/**
 * A ShellRun that no agent has claimed this long after its creation ends as Missed, ms. The job's startingDeadlineSeconds does not
 * apply: it bounds how late a scheduled time may start, and a creation time is kept in whole seconds.
 */
const DEADLINE_MS = 600_000

export function compileRun(object: ShellRun, inputs: RunCompileInputs): RunCompilation {
  const { job, pools } = inputs
  const problems = validateRun(object, job)
  const template = object.spec.template ?? job?.spec.template
  // Without a template there is always a problem: JobNotFound.
  if (!template) return { ...(objectIsValid({ problems }) as Blocked), run: unknownRun(object) }
  const { pool } = template.spec.target
  const { namespace } = identify(object.metadata)
  const policy = checkPolicies({ namespace, template: template.spec, ...inputs })
  const environment = environmentOf(template.spec, inputs.lookedUp)
  const targets = namedTargets(object, template, inputs.members)
  const found = { problems, pool, pools, policy, environment, targets }
  const run = compiledRun(object, { job, template, found })
  const refusal = firstRefusal(RUN_CHECKS, found)
  return refusal ? { ...refusal, run } : { kind: 'compiled', run }
}

function compiledRun(
  object: ShellRun,
  { job, template, found }: { job: ShellCronJob | undefined; template: Template; found: RunFindings },
): CompiledRun {
  const { env, secret, notSecret } = valuesOf(found.environment)
  const { maxConcurrentRuns } = limitsOf(found.policy)
  const entry: CompiledRun['entry'] = {
    ...base(object, job),
    pool: found.pool,
    command: { ...commandOf(template), env },
    parameters: parametersOf(job?.spec.parameters, object.spec.parameters),
    ...(notSecret ? { notSecret } : {}),
    targets: 'reason' in found.targets ? [] : [...found.targets.names],
    ...(maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns }),
  }
  return { entry, secret }
}

function base(object: ShellRun, job: ShellCronJob | undefined) {
  const { createdAt, ...identity } = identify(object.metadata)
  return {
    kind: 'run' as const,
    ...identity,
    ...(object.spec.jobRef
      ? { jobRef: { name: object.spec.jobRef.name, uid: job?.metadata.uid ?? '' } }
      : {}),
    concurrencyPolicy: object.spec.concurrencyPolicy ?? job?.spec.concurrencyPolicy ?? ('Allow' as const),
    createdAt,
    deadline: createdAt + DEADLINE_MS,
  }
}

/** The run of a job that does not exist. It has no command, and ends as Missed unless the job appears. */
function unknownRun(object: ShellRun): CompiledRun {
  return {
    secret: {},
    entry: {
      ...base(object, undefined),
      pool: 'default',
      command: { ...UNKNOWN_COMMAND, env: [] },
      parameters: {},
      targets: [],
    },
  }
}

const UNKNOWN_COMMAND = {
  labels: {},
  placement: { mode: 'One' as const, agents: [] },
  shell: ['/bin/false'],
  script: '',
  tty: false,
  leftovers: 'Kill' as const,
  successExitCodes: [0],
  terminationGracePeriodSeconds: 0,
  onDisconnect: 'Stop' as const,
  backoffLimit: 0,
  outputLimit: 0,
}
