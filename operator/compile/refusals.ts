import type { Problem } from '../../core/schema/validate.ts'
import type { Timetable } from '../../core/timetable/timetable.ts'
import { type Blocked, blocked } from './blocked.ts'
import { limitsOf, type PolicyDecision } from './check-shell-policy.ts'
import type { Environment } from './env.ts'

/** Why an object is refused. Each list is in order of precedence: the first refusal wins. Pure. */

export const JOB_CHECKS: readonly Check<JobFindings>[] = [
  objectIsValid, //         InvalidSchedule, InvalidParameters, InvalidTemplate
  scheduleFires, //         NeverFires
  poolExists, //            PoolNotFound
  policyAllows, //          PolicyRefused
  namespaceHasRoom, //      TooManyJobs
  intervalIsLongEnough, //  IntervalTooShort
  valuesResolve, //         SecretNotFound, ConfigMapNotFound, …Forbidden, KeyNotFound, ValueNotText, PrefixRequired, ValueTooLong, SecretsTooLarge
]

export const RUN_CHECKS: readonly Check<RunFindings>[] = [
  objectIsValid, //         JobNotFound, InvalidParameters, InvalidTargets, InvalidTemplate
  poolExists, //            PoolNotFound
  policyAllows, //          PolicyRefused
  targetsExist, //          InvalidTargets, TargetNotFound, NoTargets
  valuesResolve, //         as above
]

export type Check<T> = (found: T) => Blocked | undefined

/** What the compiler found out about an object, which the checks examine. */
interface Findings {
  /** From the schema and its own validation. */
  problems: readonly Problem[]
  /** The pool that the template targets. */
  pool: string
  /** Names of the pools that exist. */
  pools: ReadonlySet<string>
  policy: PolicyDecision
  environment: Environment | Blocked
}

export interface JobFindings extends Findings {
  times: Pick<Timetable, 'next'>
  /** How many ShellCronJobs of the namespace are older. */
  olderJobs(): number
}

export interface RunFindings extends Findings {
  targets: { names: readonly string[] } | Blocked
}

export function firstRefusal<T>(checks: readonly Check<T>[], found: T): Blocked | undefined {
  for (const check of checks) {
    const refusal = check(found)
    if (refusal) return refusal
  }
  return undefined
}

export function objectIsValid({ problems: [problem] }: Pick<Findings, 'problems'>): Blocked | undefined {
  // The job that a ShellRun names may be created later; any other problem needs an edit.
  return (
    problem &&
    blocked(problem.reason, `${problem.field}: ${problem.message}`, problem.reason === 'JobNotFound')
  )
}

/** Schedules are checked from this time on, so that the answer never changes: 2024-01-01, in a leap year. */
const REFERENCE = Date.UTC(2024, 0, 1)
const FIRES_CHECKED = 200

function scheduleFires({ times }: JobFindings): Blocked | undefined {
  return times.next(REFERENCE) === undefined
    ? blocked(
        'NeverFires',
        'spec.schedule: never fires within 50 years; check day-of-month, month and daylightSaving',
      )
    : undefined
}

function poolExists({ pool, pools }: Findings): Blocked | undefined {
  return pools.has(pool)
    ? undefined
    : blocked(
        'PoolNotFound',
        `spec.template.spec.target.pool: pool ${pool} does not exist; use one of: ${[...pools].sort().join(', ')}`,
        true,
      )
}

function policyAllows({ policy }: Findings): Blocked | undefined {
  return policy.kind === 'blocked' ? policy : undefined
}

function namespaceHasRoom({ policy, olderJobs }: JobFindings): Blocked | undefined {
  const { maxJobs } = limitsOf(policy)
  return maxJobs !== undefined && olderJobs() >= maxJobs
    ? blocked(
        'TooManyJobs',
        `the ShellPolicy allows ${maxJobs} ShellCronJobs in this namespace; delete one, or ask for a higher maxJobs`,
        true,
      )
    : undefined
}

function intervalIsLongEnough({ policy, times }: JobFindings): Blocked | undefined {
  const { minIntervalSeconds } = limitsOf(policy)
  if (minIntervalSeconds === undefined) return undefined
  const shortest = shortestInterval(times)
  return shortest < minIntervalSeconds
    ? blocked(
        'IntervalTooShort',
        `spec.schedule: fires every ${shortest} s; the ShellPolicy requires at least ${minIntervalSeconds} s between fires`,
        true,
      )
    : undefined
}

/** In seconds, among the first fires after the reference. */
function shortestInterval(times: JobFindings['times']): number {
  let shortest = Number.POSITIVE_INFINITY
  let before = times.next(REFERENCE)
  for (let i = 0; i < FIRES_CHECKED && before !== undefined; i++) {
    const next = times.next(before)
    if (next === undefined) break
    shortest = Math.min(shortest, (next - before) / 1_000)
    before = next
  }
  return shortest
}

function targetsExist({ targets }: RunFindings): Blocked | undefined {
  return 'reason' in targets ? targets : undefined
}

function valuesResolve({ environment }: Findings): Blocked | undefined {
  return 'reason' in environment ? environment : undefined
}
