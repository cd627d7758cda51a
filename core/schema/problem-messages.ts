import * as z from 'zod'
import { nearest } from './did-you-mean.ts'
import { insteadOf } from './wished-fields.ts'

/** Messages for invalid values. Each gives the value and what to write instead. */

export interface Problem {
  /** The path of the field, such as spec.template.spec.env[0].name. Empty: the object itself. */
  field: string
  message: string
}

type Issue = z.core.$ZodIssue

/** Returns the parsed value, or every problem of the input. */
export function parseOrExplain<S extends z.ZodType>(
  schema: S,
  input: unknown,
): { value: z.output<S> } | { problems: Problem[] } {
  const fieldsOf = new Map<unknown, string[]>()
  const parsed = schema.safeParse(input, {
    reportInput: true,
    // Only this callback gets the schema that does not know a field.
    error: issue => {
      if (issue.code === 'unrecognized_keys') fieldsOf.set(issue.input, fieldsKnownTo(issue.inst))
      return undefined
    },
  })
  if (parsed.success) return { value: parsed.data }
  const problems = parsed.error.issues.flatMap(issue =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map(key => ({
          field: fieldOf([...issue.path, key]),
          message: unknown(key, fieldsOf.get(issue.input) ?? []),
        }))
      : [{ field: fieldOf(issue.path), message: describe(issue) }],
  )
  return { problems }
}

function fieldsKnownTo(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

function unknown(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  const remedy = near ? `did you mean ${near}?` : (insteadOf(key) ?? 'check its spelling and its indentation')
  return `is not a known field; ${remedy}`
}

/** A path as people write it: spec.template.spec.env[0].name. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (isPlain(step) ? `${i === 0 ? '' : '.'}${String(step)}` : `[${String(step)}]`))
    .join('')
}

/** Indexes, and keys that are not plain names, are written in brackets. */
function isPlain(step: PropertyKey): boolean {
  return typeof step === 'string' && /^[\w-]+$/.test(step)
}

function describe(issue: Issue): string {
  const value = issue.input
  if (issue.code === 'invalid_type' && value === undefined) return 'is required; set it'
  const isShown = value !== undefined && value !== null && typeof value !== 'object'
  return `${isShown ? `${shorten(JSON.stringify(value))}: ` : ''}${remedy(issue)}`
}

const SHOWN = 80

/** The start of a long value, for a message. */
export function shorten(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
}

function remedy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue)
    case 'too_small':
      return `must ${bound(issue.origin, 'least', issue.minimum)}`
    case 'too_big':
      return `must ${bound(issue.origin, 'most', issue.maximum)}`
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.join(', ')}`
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'is not a valid key'
    default:
      return issue.message
  }
}

function wrongType({ expected, input }: { expected: string; input?: unknown }): string {
  if (expected === 'string' && (typeof input === 'number' || typeof input === 'boolean'))
    return `must be a string; write "${String(input)}", with quotes`
  return `must be ${TYPES[expected] ?? expected}`
}

const TYPES: Record<string, string> = {
  string: 'a string',
  int: 'a whole number',
  number: 'a whole number, without quotes',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of fields, such as { name: value }',
  record: 'a map of fields, such as { name: value }',
}

function bound(origin: string, which: 'least' | 'most', limit: number | bigint): string {
  if (origin === 'string') return `have at ${which} ${limit} character${limit === 1 ? '' : 's'}`
  if (origin === 'array') return `have at ${which} ${limit} item${limit === 1 ? '' : 's'}`
  return `be at ${which} ${limit}`
}
