import type { JobEntry } from '../../core/records/entry.ts'
import type { ShellCronJob, ShellPolicy } from '../../core/schema/objects.ts'
import { parametersOf } from '../../core/schema/parameters.ts'
import { schedulesOf, validateJob } from '../../core/schema/validate.ts'
import { createTimetable, type Timetable } from '../../core/timetable/timetable.ts'
import type { Lookup } from '../resources/port.ts'
import type { Blocked } from './blocked.ts'
import { checkPolicies, type Limits, limitsOf } from './check-shell-policy.ts'
import { commandOf } from './command.ts'
import { type Environment, environmentOf, type Source, valuesOf } from './env.ts'
import { identify } from './identify.ts'
import { firstRefusal, JOB_CHECKS, objectIsValid } from './refusals.ts'

/** Compiles a ShellCronJob to the entry that agents act on. Pure: Secrets and ConfigMaps have been looked up before. */

export interface CompileInputs {
  policies: readonly ShellPolicy[]
  /** Names of the pools that exist. */
  pools: ReadonlySet<string>
  lookedUp(source: Source): Lookup | undefined
  allowWithoutPolicy: boolean
  epoch: number
}

export interface JobCompileInputs extends CompileInputs {
  /** How many ShellCronJobs of the namespace are older. Called only if a policy sets maxJobs. */
  olderJobs(): number
}

/** The fields of an entry that its history decides. */
export type Historic = 'scheduleChangedAt' | 'editing' | 'clockEpoch' | 'clockSetBack'

/** An entry without the fields that its history decides, and its Secrets not yet sealed. */
export interface CompiledJob {
  entry: Omit<JobEntry, Historic | 'sealed' | 'sealedDigest'>
  secret: Record<string, string>
}

export type JobCompilation =
  | { kind: 'compiled'; job: CompiledJob }
  /** Without `job` the schedule is invalid. With it, the times and targets are known and can end as Missed. */
  | (Blocked & { job?: CompiledJob })

/** Set by `shellcron suspend`; its value is the user. */
export const PAUSED_ANNOTATION = 'shellcron.dev/paused'

export function compileJob(object: ShellCronJob, inputs: JobCompileInputs): JobCompilation {
  const problems = validateJob(object)
  const invalid = objectIsValid({ problems })
  if (invalid?.reason === 'InvalidSchedule') return invalid
  const times = timesOf(object)
  const template = object.spec.template.spec
  const { namespace } = identify(object.metadata)
  const policy = checkPolicies({ namespace, template, ...inputs })
  const environment = environmentOf(template, inputs.lookedUp)
  const job = compiledJob(object, { epoch: inputs.epoch, environment, limits: limitsOf(policy) })
  const { pools, olderJobs } = inputs
  const { pool } = job.entry
  const refusal = firstRefusal(JOB_CHECKS, { problems, pool, pools, policy, environment, times, olderJobs })
  return refusal ? { ...refusal, job } : { kind: 'compiled', job }
}

function timesOf({ spec, metadata }: ShellCronJob): Timetable {
  const { timeZone, daylightSaving } = spec
  const hashKey = `${metadata.namespace ?? 'default'}/${metadata.name}`
  return createTimetable({ schedules: schedulesOf(spec), timeZone, daylightSaving, hashKey })
}

function compiledJob(
  { spec, metadata }: ShellCronJob,
  { epoch, environment, limits }: { epoch: number; environment: Environment | Blocked; limits: Limits },
): CompiledJob {
  const { namespace, name, uid, generation } = identify(metadata)
  const { env, secret, notSecret } = valuesOf(environment)
  const { startingDeadlineSeconds } = spec
  const { maxConcurrentRuns } = limits
  const entry: CompiledJob['entry'] = {
    kind: 'job',
    uid,
    generation,
    pool: spec.template.spec.target.pool,
    namespace,
    name,
    command: { ...commandOf(spec.template), env },
    parameters: parametersOf(spec.parameters),
    ...(notSecret ? { notSecret } : {}),
    schedules: schedulesOf(spec),
    timeZone: spec.timeZone,
    daylightSaving: spec.daylightSaving,
    jitterSeconds: spec.jitterSeconds,
    ...(startingDeadlineSeconds === undefined ? {} : { startingDeadlineSeconds }),
    catchUp: spec.catchUp,
    catchUpLimit: spec.catchUpLimit,
    concurrencyPolicy: spec.concurrencyPolicy,
    suspended: spec.suspend || metadata.annotations?.[PAUSED_ANNOTATION] !== undefined,
    epoch,
    ...(maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns }),
  }
  return { entry, secret }
}
