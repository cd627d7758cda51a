import type { JobEntry } from '../../core/records/entry.ts'
import type { ShellCronJob, ShellPolicy } from '../../core/schema/objects.ts'
import { parametersOf } from '../../core/schema/parameters.ts'
import { schedulesOf, validateJob } from '../../core/schema/validate.ts'
import { createTimetable, type Timetable } from '../../core/timetable/timetable.ts'
import type { Lookup } from '../resources/port.ts'
import { type Blocked, blocked } from './blocked.ts'
import { commandOf } from './command.ts'
import { environmentOf, opened, type Source } from './env.ts'
import { identify } from './identify.ts'
import { checkPolicies, type Limits } from './shell-policy.ts'

/** A ShellCronJob to the entry that agents act on. Pure: what it rests on has been looked up. */

export interface CompileInputs {
  policies: readonly ShellPolicy[]
  /** Names of the pools that exist. */
  pools: ReadonlySet<string>
  lookedUp(source: Source): Lookup | undefined
  allowWithoutPolicy: boolean
  epoch: number
}

/** Without what its history says (scheduleChangedAt), and with its secrets still open. */
export interface CompiledJob {
  entry: Omit<JobEntry, 'scheduleChangedAt' | 'editing' | 'sealed' | 'sealedDigest'>
  secret: Record<string, string>
}

export type JobCompilation =
  | { kind: 'compiled'; job: CompiledJob }
  /** With `job`: its times and targets are known, so that they can end as Missed. */
  | (Blocked & { job?: CompiledJob })

/** Set by `shellcron suspend`: who did it. */
export const PAUSED_ANNOTATION = 'shellcron.dev/paused'

/** `olderJobs`: how many ShellCronJobs of the namespace come before this one; asked only where maxJobs is set. */
export function compileJob(
  object: ShellCronJob,
  around: CompileInputs & { olderJobs(): number },
): JobCompilation {
  const [problem] = validateJob(object)
  const times = timetableOf(object)
  if (!times) return blocked('InvalidSchedule', `${problem?.field}: ${problem?.message}`)
  const compiled = entryOf(object, around)
  const refused =
    (problem && blocked(problem.reason, `${problem.field}: ${problem.message}`)) ??
    (times.next(REFERENCE) === undefined
      ? blocked(
          'NeverFires',
          'spec.schedule: never fires within 50 years; check day-of-month, month and daylightSaving',
        )
      : undefined) ??
    missingPool(object.spec.template.spec.target.pool, around)
  if (refused) return { ...refused, job: compiled.job }
  const judged = checkPolicies({
    namespace: compiled.job.entry.namespace,
    template: object.spec.template.spec,
    policies: around.policies,
    allowWithoutPolicy: around.allowWithoutPolicy,
  })
  if (judged.kind === 'blocked') return { ...judged, job: compiled.job }
  const { maxConcurrentRuns } = judged.limits
  const job: CompiledJob = {
    ...compiled.job,
    entry: { ...compiled.job.entry, ...(maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns }) },
  }
  const over = overLimit(judged.limits, { times, olderJobs: around.olderJobs }) ?? compiled.lacking
  return over ? { ...over, job } : { kind: 'compiled', job }
}

/** The time from which schedules are judged: always the same, so that the verdict is. 2024-01-01, of a leap year. */
const REFERENCE = Date.UTC(2024, 0, 1)
const FIRES_LOOKED_AT = 200

function timetableOf({ spec, metadata }: ShellCronJob): Timetable | undefined {
  try {
    const { namespace, name } = identify(metadata)
    const { timeZone, daylightSaving } = spec
    return createTimetable({
      schedules: schedulesOf(spec),
      timeZone,
      daylightSaving,
      hashKey: `${namespace}/${name}`,
    })
  } catch {
    // Told by validateJob, with the field as it was written.
    return undefined
  }
}

export function missingPool(pool: string, { pools }: Pick<CompileInputs, 'pools'>): Blocked | undefined {
  return pools.has(pool)
    ? undefined
    : blocked(
        'PoolNotFound',
        `spec.template.spec.target.pool: there is no pool ${pool}; known are ${[...pools].sort().join(', ')}`,
        true,
      )
}

function entryOf(
  object: ShellCronJob,
  around: CompileInputs,
): { job: CompiledJob; lacking: Blocked | undefined } {
  const { spec, metadata } = object
  const { namespace, name, uid, generation } = identify(metadata)
  const template = spec.template.spec
  const { environment, lacking } = opened(environmentOf(template, around.lookedUp))
  const { env, secret, notSecret } = environment
  const suspended = spec.suspend || metadata.annotations?.[PAUSED_ANNOTATION] !== undefined
  const entry: CompiledJob['entry'] = {
    kind: 'job',
    uid,
    generation,
    pool: template.target.pool,
    namespace,
    name,
    command: { ...commandOf(spec.template), env },
    parameters: parametersOf(spec.parameters),
    ...(notSecret ? { notSecret } : {}),
    schedules: schedulesOf(spec),
    timeZone: spec.timeZone,
    daylightSaving: spec.daylightSaving,
    jitterSeconds: spec.jitterSeconds,
    ...(spec.startingDeadlineSeconds === undefined
      ? {}
      : { startingDeadlineSeconds: spec.startingDeadlineSeconds }),
    catchUp: spec.catchUp,
    catchUpLimit: spec.catchUpLimit,
    concurrencyPolicy: spec.concurrencyPolicy,
    suspended,
    epoch: around.epoch,
  }
  return { job: { entry, secret }, lacking }
}

function overLimit(
  { maxJobs, minIntervalSeconds }: Limits,
  { times, olderJobs }: { times: Timetable; olderJobs(): number },
): Blocked | undefined {
  if (maxJobs !== undefined && olderJobs() >= maxJobs)
    return blocked(
      'TooManyJobs',
      `the ShellPolicy allows ${maxJobs} ShellCronJobs in this namespace; delete one`,
      true,
    )
  if (minIntervalSeconds === undefined) return undefined
  const shortest = shortestInterval(times)
  return shortest < minIntervalSeconds
    ? blocked(
        'IntervalTooShort',
        `spec.schedule: fires ${shortest} s apart; the ShellPolicy allows no less than ${minIntervalSeconds} s`,
        true,
      )
    : undefined
}

/** In seconds, among the first fires after the reference. */
function shortestInterval(times: Timetable): number {
  let shortest = Number.POSITIVE_INFINITY
  let before = times.next(REFERENCE)
  for (let i = 0; i < FIRES_LOOKED_AT && before !== undefined; i++) {
    const next = times.next(before)
    if (next === undefined) break
    shortest = Math.min(shortest, (next - before) / 1_000)
    before = next
  }
  return shortest
}
