import { RE2JS, RE2JSException } from 're2js'
import type { Parameter } from './job.ts'
import { shorten } from './problem-messages.ts'

/** Validates values of parameters against their declarations. */

/**
 * Maximum size of a compiled pattern, in instructions. RE2 never backtracks, so matching costs at most pattern × value, and a user of a
 * namespace cannot stop the operator with a pattern. Each counted repetition multiplies the instructions.
 */
const MOST_PROGRAM = 2_000

/** The problem of a declaration itself: its pattern or its default. */
export function declarationProblem(parameter: Parameter): { field: string; message: string } | undefined {
  const unusable = patternProblem(parameter.pattern)
  if (unusable) return { field: 'pattern', message: unusable }
  const wrong = parameter.default === undefined ? undefined : valueProblem(parameter, parameter.default)
  return wrong === undefined ? undefined : { field: 'default', message: wrong }
}

/** The problem of a value. If the pattern is invalid, every value is refused: none may pass unchecked. */
export function valueProblem({ enum: allowed = [], pattern, maxLength }: Parameter, value: string) {
  if (allowed.length > 0 && !allowed.includes(value))
    return `"${value}": must be one of ${allowed.join(', ')}`
  const length = Array.from(value).length
  if (maxLength !== undefined && length > maxLength)
    return `"${shorten(value)}" has ${length} characters; at most ${maxLength} are allowed`
  const unusable = patternProblem(pattern)
  if (unusable) return `cannot be checked, because the pattern of the parameter is invalid: ${unusable}`
  return pattern && !RE2JS.compile(pattern).matches(value)
    ? `"${shorten(value)}": must match the pattern ${pattern}`
    : undefined
}

/** The problem of a pattern. An empty pattern means none. */
function patternProblem(pattern: string | undefined): string | undefined {
  if (!pattern) return undefined
  try {
    return RE2JS.compile(pattern).programSize() > MOST_PROGRAM
      ? `"${pattern}" is too large; use smaller counts in {}`
      : undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    return `"${pattern}" is not a valid RE2 regular expression: ${error.message.replace('error parsing regexp: ', '')}`
  }
}

/** The values that a run gets: the given ones, and defaults for the others. */
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
