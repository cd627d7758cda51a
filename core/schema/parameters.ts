import { RE2JS, RE2JSException } from 're2js'
import type { Parameter } from './job.ts'

/** Values of parameters, judged by their declarations. */

/**
 * Matching costs at most pattern × value: RE2 never backtracks, else a namespace's user could stop the operator with one pattern. In
 * instructions; each counted repetition multiplies them.
 */
const MOST_PROGRAM = 2_000

/** What is wrong with a declaration itself: its pattern, or its default. */
export function declarationProblem(parameter: Parameter): { field: string; message: string } | undefined {
  const unusable = patternProblem(parameter.pattern)
  if (unusable) return { field: 'pattern', message: unusable }
  const wrong = parameter.default === undefined ? undefined : valueProblem(parameter, parameter.default)
  return wrong === undefined ? undefined : { field: 'default', message: wrong }
}

/** What is wrong with a value. A pattern that cannot be used refuses all: nothing may pass unjudged. */
export function valueProblem({ enum: allowed = [], pattern, maxLength }: Parameter, value: string) {
  if (allowed.length > 0 && !allowed.includes(value)) return `"${value}" is not one of ${allowed.join(', ')}`
  const length = Array.from(value).length
  if (maxLength !== undefined && length > maxLength)
    return `has ${length} characters; at most ${maxLength} are allowed`
  const unusable = patternProblem(pattern)
  if (unusable) return `cannot be judged: the pattern ${unusable}`
  return pattern && !RE2JS.compile(pattern).matches(value)
    ? `"${value}" does not match ${pattern}`
    : undefined
}

/** An empty pattern is none. */
function patternProblem(pattern: string | undefined): string | undefined {
  if (!pattern) return undefined
  try {
    return RE2JS.compile(pattern).programSize() > MOST_PROGRAM
      ? `"${pattern}" repeats too much; write smaller numbers in {}`
      : undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    return `"${pattern}" is not a regular expression (RE2): ${error.message.replace('error parsing regexp: ', '')}`
  }
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
