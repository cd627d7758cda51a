import { InvalidInput } from '../errors.ts'
import { createTimetable } from '../timetable/timetable.ts'
import { scriptProblem } from './interpreter.ts'
import type { ShellCronJob, ShellRun } from './objects.ts'
import { declarationProblem, valueProblem } from './parameters.ts'
import type { TemplateSpec } from './template.ts'

/** Checks that a schema cannot express, such as whether a schedule ever fires. Pure, so that `shellcron validate` and the operator agree. */

export interface Problem {
  /** The reason that the condition gives, in one word. */
  reason: 'InvalidSchedule' | 'InvalidTemplate' | 'InvalidParameters' | 'InvalidTargets' | 'JobNotFound'
  /** The path of the field, such as spec.schedules[1]. */
  field: string
  /** The value and the remedy. */
  message: string
}

/** The schedules of a job, from either field. */
export function schedulesOf({ schedule, schedules }: ShellCronJob['spec']): string[] {
  return schedule === undefined ? (schedules ?? []) : [schedule]
}

/** Every problem of a job that its schema accepts. Empty: it can run. */
export function validateJob(job: ShellCronJob): Problem[] {
  return [
    ...timetableProblems(job),
    ...declarationProblems(job.spec),
    ...templateProblems(job.spec.template.spec),
  ]
}

/** Every problem of a ShellRun. `job`: the one that jobRef names, if it exists; ignored with an inline template. */
export function validateRun(run: ShellRun, job: ShellCronJob | undefined): Problem[] {
  const { jobRef, template } = run.spec
  if (template) return templateProblems(template.spec)
  if (job) return [...givenProblems(run, job), ...targetProblems(run, job), ...problemsOfJob(job)]
  const message = `ShellCronJob "${jobRef?.name}" does not exist in this namespace; create it or correct the name`
  return [{ reason: 'JobNotFound', field: 'spec.jobRef.name', message }]
}

/** The command of the job cannot start. A job with an invalid schedule only can. */
function problemsOfJob({ metadata, spec }: ShellCronJob): Problem[] {
  return templateProblems(spec.template.spec).map(({ reason, field, message }) => ({
    reason,
    field: 'spec.jobRef.name',
    message: `ShellCronJob ${metadata.name} cannot run: ${field}: ${message}`,
  }))
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
    // A single schedule may be written as a list: name the field that was written.
    const field = spec.schedules && error.field === 'spec.schedule' ? 'spec.schedules[0]' : error.field
    return [{ reason: 'InvalidSchedule', field, message: error.message }]
  }
}

function declarationProblems({ parameters = [], suspend }: ShellCronJob['spec']): Problem[] {
  return parameters.flatMap((parameter, i): Problem[] => {
    const at = `spec.parameters[${i}]`
    const wrong = declarationProblem(parameter)
    if (wrong) return [{ reason: 'InvalidParameters', field: `${at}.${wrong.field}`, message: wrong.message }]
    // Only ShellRuns run a suspended job, and they give values.
    if (!parameter.required || parameter.default !== undefined || suspend) return []
    const message = `parameter "${parameter.name}" is required, but scheduled runs are given no values; add a default, or suspend the job and run it with ShellRuns`
    return [{ reason: 'InvalidParameters', field: `${at}.default`, message }]
  })
}

/** Linux's limit for one argument or variable (NAME=VALUE), without its final NUL. */
export const MOST_STRING = 131_071
/** The limit for all together, because every agent of the pool keeps them in memory. */
const MOST_TEXT = 524_288

function templateProblems(template: TemplateSpec): Problem[] {
  const message = scriptProblem(template.script, template.shell !== undefined)
  const field = 'spec.template.spec.script'
  return [
    ...(message === undefined ? [] : [{ reason: 'InvalidTemplate' as const, field, message }]),
    ...sizeProblems(template),
  ]
}

function sizeProblems({ script, env = [] }: TemplateSpec): Problem[] {
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
    message: `${field.endsWith('.env') ? 'env and script have' : 'has'} ${size} bytes; at most ${field.endsWith('.env') ? MOST_TEXT : MOST_STRING} are allowed. Put the text into a file on the machine`,
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
      : `parameter "${name}" is not declared by ${by}; declared parameters: ${[...declared.keys()].join(', ') || 'none'}`
    return message ? [{ field: `${field}.${parameter ? 'value' : 'name'}`, message }] : []
  })
  const missing = [...declared.values()]
    .filter(({ required, default: fallback }) => required && fallback === undefined)
    .filter(({ name }) => !given.some(each => each.name === name))
    .map(({ name }) => ({
      field: 'spec.parameters',
      message: `parameter "${name}" is required by ${by}; give it a value`,
    }))
  return [...wrong, ...missing].map(problem => ({ reason: 'InvalidParameters', ...problem }))
}

/** Checks targets against the job. Only the operator knows which agents exist. */
function targetProblems({ spec }: ShellRun, job: ShellCronJob): Problem[] {
  const { mode, shards = 1, agents = [] } = job.spec.template.spec.target
  const asked = spec.targets ?? []
  const reason = 'InvalidTargets'
  if (mode === 'One' && asked.length > 0)
    return [
      {
        reason,
        field: 'spec.targets',
        message: 'is not allowed, because target.mode of the job is One; remove targets',
      },
    ]
  return asked.flatMap((target, i): Problem[] => {
    const field = `spec.targets[${i}]`
    if (mode === 'Shards' && !(/^(0|[1-9]\d*)$/.test(target) && Number(target) < shards))
      return [{ reason, field, message: `"${target}": must be a shard index from 0 to ${shards - 1}` }]
    if (mode === 'All' && agents.length > 0 && !agents.includes(target))
      return [
        { reason, field, message: `"${target}": must be one of the job's agents: ${agents.join(', ')}` },
      ]
    return []
  })
}
