import { InvalidInput } from '../errors.ts'
import { createTimetable } from '../timetable/timetable.ts'
import type { ShellCronJob, ShellRun } from './objects.ts'
import { declarationProblem, valueProblem } from './parameters.ts'
import type { TemplateSpec } from './template.ts'

/** What a schema cannot judge: only code knows whether a cron line ever fires. Pure, so that `validate` and the operator say the same. */

export interface Problem {
  /** Why nothing runs, in one word. */
  reason: 'InvalidSchedule' | 'InvalidTemplate' | 'InvalidParameters' | 'InvalidTargets' | 'JobNotFound'
  /** As it was written: spec.schedules[1]. */
  field: string
  /** The value and the remedy. */
  message: string
}

/** The lines of a job, whichever way they were written. */
export function schedulesOf({ schedule, schedules }: ShellCronJob['spec']): string[] {
  return schedule === undefined ? (schedules ?? []) : [schedule]
}

/** Everything that is wrong with a job that its schema admits; empty: it can run. */
export function validateJob(job: ShellCronJob): Problem[] {
  return [
    ...timetableProblems(job),
    ...declarationProblems(job.spec),
    ...templateProblems(job.spec.template.spec),
  ]
}

/** The same of a ShellRun. `job`: the one that jobRef names, if it exists; not asked for with an inline template. */
export function validateRun(run: ShellRun, job: ShellCronJob | undefined): Problem[] {
  const { jobRef, template } = run.spec
  if (template) return templateProblems(template.spec)
  if (job) return [...givenProblems(run, job), ...targetProblems(run, job)]
  const message = `there is no ShellCronJob ${jobRef?.name} in this namespace`
  return [{ reason: 'JobNotFound', field: 'spec.jobRef.name', message }]
}

function timetableProblems({ spec, metadata }: ShellCronJob): Problem[] {
  try {
    createTimetable({
      schedules: schedulesOf(spec),
      timeZone: spec.timeZone,
      daylightSaving: spec.daylightSaving,
      hashKey: `${metadata.namespace ?? 'default'}/${metadata.name}`,
    })
    return []
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    // One line may be written as a list too: the field is named as it was written.
    const field = spec.schedules && error.field === 'spec.schedule' ? 'spec.schedules[0]' : error.field
    return [{ reason: 'InvalidSchedule', field, message: error.message }]
  }
}

function declarationProblems({ parameters = [], suspend }: ShellCronJob['spec']): Problem[] {
  return parameters.flatMap((parameter, i): Problem[] => {
    const at = `spec.parameters[${i}]`
    const wrong = declarationProblem(parameter)
    if (wrong) return [{ reason: 'InvalidParameters', field: `${at}.${wrong.field}`, message: wrong.message }]
    // A suspended job is run by ShellRuns alone.
    if (!parameter.required || parameter.default !== undefined || suspend) return []
    const message = `"${parameter.name}" is required, and nobody gives it to scheduled runs: add a default, or suspend the job and run it by ShellRuns`
    return [{ reason: 'InvalidParameters', field: `${at}.default`, message }]
  })
}

/** Linux takes no longer argument or variable, with its ending NUL. */
const MOST_STRING = 131_071
/** Of all together: an entry of etcd holds them, with its sealed values, and so does the memory of every agent. */
const MOST_TEXT = 524_288

function templateProblems({ script, env = [] }: TemplateSpec): Problem[] {
  const at = 'spec.template.spec'
  const sizes = [
    { field: `${at}.script`, size: bytes(script) },
    ...env.map(({ name, value = '' }, i) => ({
      field: `${at}.env[${i}].value`,
      size: bytes(`${name}=${value}`),
    })),
  ]
  const total = sizes.reduce((sum, { size }) => sum + size, 0)
  return [
    ...sizes.filter(({ size }) => size > MOST_STRING),
    ...(total > MOST_TEXT ? [{ field: `${at}.env`, size: total }] : []),
  ].map(({ field, size }) => ({
    reason: 'InvalidTemplate',
    field,
    message: `comes to ${size} bytes${field.endsWith('.env') ? ' with the script' : ''}, ${field.endsWith('.env') ? MOST_TEXT : MOST_STRING} are possible; put it into a file on the machine`,
  }))
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length
}

function givenProblems({ spec }: ShellRun, job: ShellCronJob): Problem[] {
  const given = spec.parameters ?? []
  const declared = new Map((job.spec.parameters ?? []).map(parameter => [parameter.name, parameter]))
  const by = `ShellCronJob ${job.metadata.name}`
  const wrong = given.flatMap(({ name, value }, i) => {
    const field = `spec.parameters[${i}]`
    const parameter = declared.get(name)
    const message = parameter
      ? valueProblem(parameter, value)
      : `"${name}" is not declared by ${by}; it declares ${[...declared.keys()].join(', ') || 'none'}`
    return message ? [{ field: `${field}.${parameter ? 'value' : 'name'}`, message }] : []
  })
  const missing = [...declared.values()]
    .filter(({ required, default: fallback }) => required && fallback === undefined)
    .filter(({ name }) => !given.some(each => each.name === name))
    .map(({ name }) => ({
      field: 'spec.parameters',
      message: `"${name}" is required by ${by}; give it a value`,
    }))
  return [...wrong, ...missing].map(problem => ({ reason: 'InvalidParameters', ...problem }))
}

/** What the job itself says of its targets; only the operator knows which agents there are. */
function targetProblems({ spec }: ShellRun, job: ShellCronJob): Problem[] {
  const { mode, shards = 1, agents = [] } = job.spec.template.spec.target
  const asked = spec.targets ?? []
  const reason = 'InvalidTargets'
  if (mode === 'One' && asked.length > 0)
    return [
      { reason, field: 'spec.targets', message: 'the job runs on one agent, of its choice; leave them out' },
    ]
  return asked.flatMap((target, i): Problem[] => {
    const field = `spec.targets[${i}]`
    if (mode === 'Shards' && !(/^(0|[1-9]\d*)$/.test(target) && Number(target) < shards))
      return [{ reason, field, message: `"${target}" is not a shard; they are 0 to ${shards - 1}` }]
    if (mode === 'All' && agents.length > 0 && !agents.includes(target))
      return [{ reason, field, message: `"${target}" is not among the job's agents: ${agents.join(', ')}` }]
    return []
  })
}
