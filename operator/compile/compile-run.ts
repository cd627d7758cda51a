import type { RunEntry } from '../../core/records/entry.ts'
import type { ShellCronJob, ShellRun } from '../../core/schema/objects.ts'
import { parametersOf } from '../../core/schema/parameters.ts'
import type { Template } from '../../core/schema/template.ts'
import { validateRun } from '../../core/schema/validate.ts'
import { type Blocked, blocked } from './blocked.ts'
import { commandOf } from './command.ts'
import { type CompileInputs, missingPool } from './compile-job.ts'
import { environmentOf, opened } from './env.ts'
import { identify } from './identify.ts'
import { checkPolicies } from './shell-policy.ts'

/** A ShellRun to its entry. Pure. */

export interface CompiledRun {
  entry: Omit<RunEntry, 'sealed' | 'sealedDigest'>
  secret: Record<string, string>
}

export type RunCompilation = { kind: 'compiled'; run: CompiledRun } | (Blocked & { run: CompiledRun })

export interface RunCompileInputs extends CompileInputs {
  /** That jobRef names, unless it is being deleted. */
  job: ShellCronJob | undefined
  /** Members of a pool that a template's target selects, alive or not. */
  members(template: Template): readonly string[]
}

/**
 * A ShellRun that nobody claimed ends as Missed so long after its creation, ms. The job's startingDeadlineSeconds is not asked: it says
 * how late a scheduled time may start, and a time of creation is kept in whole seconds.
 */
const DEADLINE_MS = 600_000

export function compileRun(object: ShellRun, around: RunCompileInputs): RunCompilation {
  const template = object.spec.template ?? around.job?.spec.template
  if (!template) {
    const [problem] = validateRun(object, around.job)
    return {
      ...blocked('JobNotFound', `${problem?.field}: ${problem?.message}`, true),
      run: unknownRun(object),
    }
  }
  const { environment, lacking } = opened(environmentOf(template.spec, around.lookedUp))
  const judged = checkPolicies({
    namespace: identify(object.metadata).namespace,
    template: template.spec,
    policies: around.policies,
    allowWithoutPolicy: around.allowWithoutPolicy,
  })
  const targets = targetsOf(object, template, around)
  const limit = judged.kind === 'allowed' ? judged.limits.maxConcurrentRuns : undefined
  const run: CompiledRun = {
    secret: environment.secret,
    entry: {
      ...base(object, around.job),
      pool: template.spec.target.pool,
      command: { ...commandOf(template), env: environment.env },
      parameters: parametersOf(around.job?.spec.parameters, object.spec.parameters),
      ...(environment.notSecret ? { notSecret: environment.notSecret } : {}),
      targets: 'reason' in targets ? [] : targets.names,
      ...(limit === undefined ? {} : { maxConcurrentRuns: limit }),
    },
  }
  // The first refusal wins.
  const [refused] = [
    invalid(object, around.job),
    missingPool(run.entry.pool, around),
    judged.kind === 'blocked' ? judged : undefined,
    'reason' in targets ? targets : undefined,
    lacking,
  ].filter(refusal => refusal !== undefined)
  return refused ? { ...refused, run } : { kind: 'compiled', run }
}

function invalid(object: ShellRun, job: ShellCronJob | undefined): Blocked | undefined {
  const [problem] = validateRun(object, job)
  return problem && blocked(problem.reason, `${problem.field}: ${problem.message}`)
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

/** Of a job that is not there: nothing is known but that it must end. */
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
  successExitCodes: [0],
  terminationGracePeriodSeconds: 0,
  onDisconnect: 'Stop' as const,
  backoffLimit: 0,
  outputLimit: 0,
}

/** In All they are fixed now: members that come later have no part in this run. */
function targetsOf(
  object: ShellRun,
  template: Template,
  around: RunCompileInputs,
): { names: string[] } | Blocked {
  const asked = object.spec.targets ?? []
  const { mode, shards = 1, pool } = template.spec.target
  if (mode === 'One') {
    return asked.length === 0
      ? { names: [] }
      : blocked(
          'InvalidTargets',
          'spec.targets: is not allowed, because target.mode of the job is One; remove targets',
        )
  }
  if (mode === 'Shards') {
    const strange = asked.find(target => !/^\d+$/.test(target) || Number(target) >= shards)
    return strange === undefined
      ? { names: asked }
      : blocked('InvalidTargets', `spec.targets: "${strange}": must be a shard index from 0 to ${shards - 1}`)
  }
  const members = around.members(template)
  const strange = asked.find(target => !members.includes(target))
  if (strange !== undefined)
    return blocked(
      'TargetNotFound',
      `spec.targets: ${strange} is not an agent of pool ${pool} that the job selects`,
      true,
    )
  const names = asked.length > 0 ? asked : [...members]
  return names.length > 0
    ? { names }
    : blocked('NoTargets', `spec.template.spec.target: no agent of pool ${pool} is selected`, true)
}
