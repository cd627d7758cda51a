import { InvalidInput } from '../errors.ts'
import { createTimetable } from '../timetable/timetable.ts'
import type { Parameter } from './job.ts'
import type { ShellCronJob, ShellRun } from './objects.ts'

/** What a schema cannot judge: only code knows whether a cron line ever fires. Pure, so that `validate` and the operator say the same. */

export interface Problem {
  field: string
  message: string
}

/** The lines of a job, whichever way they were written. */
export function schedulesOf({ schedule, schedules }: ShellCronJob['spec']): string[] {
  return schedule === undefined ? (schedules ?? []) : [schedule]
}

export function validateJob(job: ShellCronJob): Problem[] {
  const { spec, metadata } = job
  return [
    ...timetableProblems(job),
    ...(spec.parameters ?? []).flatMap(declarationProblems),
    ...(metadata.namespace === undefined && metadata.uid !== undefined
      ? [{ field: 'metadata.namespace', message: 'is missing' }]
      : []),
  ]
}

/** `job`: the one that jobRef names; undefined with an inline template. */
export function validateRun(run: ShellRun, job: ShellCronJob | undefined): Problem[] {
  if (!run.spec.jobRef) return []
  if (!job)
    return [
      {
        field: 'spec.jobRef.name',
        message: `there is no ShellCronJob ${run.spec.jobRef.name} in this namespace`,
      },
    ]
  const given = run.spec.parameters ?? []
  const declared = new Map((job.spec.parameters ?? []).map(parameter => [parameter.name, parameter]))
  const names = [...declared.keys()].join(', ') || 'none'
  return [
    ...given.flatMap(({ name, value }, i) => {
      const parameter = declared.get(name)
      const field = `spec.parameters[${i}]`
      if (!parameter) {
        return [
          {
            field: `${field}.name`,
            message: `"${name}" is not declared by ShellCronJob ${job.metadata.name}; it declares ${names}`,
          },
        ]
      }
      return valueProblems(parameter, value, `${field}.value`)
    }),
    ...[...declared.values()]
      .filter(({ required, name }) => required && !given.some(each => each.name === name))
      .filter(parameter => parameter.default === undefined)
      .map(({ name }) => ({
        field: 'spec.parameters',
        message: `"${name}" is required by ShellCronJob ${job.metadata.name}`,
      })),
  ]
}

/** The values that a run gets: its own, else the defaults. */
export function parametersOf(
  declared: readonly Parameter[] | undefined,
  given: readonly { name: string; value: string }[] = [],
): Record<string, string> {
  const values: Record<string, string> = {}
  for (const { name, default: fallback } of declared ?? [])
    if (fallback !== undefined) values[name] = fallback
  for (const { name, value } of given) values[name] = value
  return values
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
    return [{ field, message: error.message }]
  }
}

function declarationProblems(parameter: Parameter, i: number): Problem[] {
  const field = `spec.parameters[${i}]`
  const pattern = compiled(parameter.pattern)
  if (pattern === 'invalid') {
    return [{ field: `${field}.pattern`, message: `"${parameter.pattern}" is not a regular expression` }]
  }
  if (parameter.required && parameter.default === undefined) {
    return [
      {
        field: `${field}.default`,
        message: `"${parameter.name}" is required, so that scheduled runs need a default`,
      },
    ]
  }
  return parameter.default === undefined
    ? []
    : valueProblems(parameter, parameter.default, `${field}.default`)
}

function valueProblems(parameter: Parameter, value: string, field: string): Problem[] {
  const pattern = compiled(parameter.pattern)
  if (parameter.enum && parameter.enum.length > 0 && !parameter.enum.includes(value)) {
    return [{ field, message: `"${value}" is not one of ${parameter.enum.join(', ')}` }]
  }
  if (parameter.maxLength !== undefined && value.length > parameter.maxLength) {
    return [{ field, message: `has ${value.length} characters; at most ${parameter.maxLength} are allowed` }]
  }
  if (pattern instanceof RegExp && !pattern.test(value)) {
    return [{ field, message: `"${value}" does not match ${parameter.pattern}` }]
  }
  return []
}

/** The whole value must match. An empty pattern is none. */
function compiled(pattern: string | undefined): RegExp | 'invalid' | undefined {
  if (!pattern) return undefined
  try {
    return new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    return 'invalid'
  }
}
