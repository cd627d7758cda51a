import * as z from 'zod'
import { InvalidInput } from '../errors.ts'
import { ruled } from './cel-rule.ts'
import { agentSpec, policySpec, poolSpec, ticketSpec } from './fleet.ts'
import { jobSpec } from './job.ts'
import { metadata, nameWithoutDots } from './metadata.ts'
import { type Problem, parseOrExplain, shorten } from './problem-messages.ts'
import { runSpec } from './run.ts'
import { agentStatus, jobStatus, plainStatus, runStatus } from './status.ts'

/** The kinds of group shellcron.dev. */

export const GROUP = 'shellcron.dev'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}`

function objectOf<K extends string, S extends z.ZodType, T extends z.ZodType>(kind: K, spec: S, status: T) {
  return z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata,
    spec,
    status: status.optional(),
  })
}

export const shellCronJob = ruled(objectOf('ShellCronJob', jobSpec, jobStatus), [nameWithoutDots(52)])
export const shellRun = ruled(objectOf('ShellRun', runSpec, runStatus), [nameWithoutDots(52)])
export const shellAgent = objectOf('ShellAgent', agentSpec, agentStatus)
export const shellPolicy = objectOf('ShellPolicy', policySpec, plainStatus)
export const shellPool = ruled(objectOf('ShellPool', poolSpec, plainStatus), [nameWithoutDots(63)])
export const shellTicket = objectOf('ShellTicket', ticketSpec, plainStatus)

export type { Metadata } from './metadata.ts'
export type ShellCronJob = z.infer<typeof shellCronJob>
export type ShellRun = z.infer<typeof shellRun>
export type ShellAgent = z.infer<typeof shellAgent>
export type ShellPolicy = z.infer<typeof shellPolicy>
export type ShellPool = z.infer<typeof shellPool>
export type ShellTicket = z.infer<typeof shellTicket>
export type ShellCronObject = ShellCronJob | ShellRun | ShellAgent | ShellPolicy | ShellPool | ShellTicket

export const KINDS = {
  ShellCronJob: shellCronJob,
  ShellRun: shellRun,
  ShellAgent: shellAgent,
  ShellPolicy: shellPolicy,
  ShellPool: shellPool,
  ShellTicket: shellTicket,
} as const
export type Kind = keyof typeof KINDS

const NAMESPACED: ReadonlySet<string> = new Set(['ShellCronJob', 'ShellRun'])

/** Every problem of an object. The first one is the error's own field and message. */
export class InvalidObject extends InvalidInput {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems[0]?.field ?? '', problems[0]?.message ?? 'is invalid')
    this.problems = problems
  }
}

/**
 * Parses an object as people write it: strictly, with the CRD's defaults and rules. Throws InvalidObject, whose problems name the field, the
 * value and the remedy.
 */
export function parseObject(input: unknown): ShellCronObject {
  const object = valid(input)
  if (!NAMESPACED.has(object.kind) && object.metadata.namespace !== undefined) {
    throw new InvalidObject([
      {
        field: 'metadata.namespace',
        message: `"${object.metadata.namespace}": a ${object.kind} has no namespace; remove the field`,
      },
    ])
  }
  return object
}

/** Parses an object that an API server has accepted, perhaps with a newer CRD. Unknown fields are ignored. */
export function parseStored(input: unknown): ShellCronObject {
  const { status: _, ...rest } = input as Record<string, unknown>
  return valid(withoutUnknown(rest))
}

function valid(input: unknown): ShellCronObject {
  const judged = parseOrExplain(schemaOf(input), input)
  if ('problems' in judged) throw new InvalidObject(judged.problems)
  return judged.value as ShellCronObject
}

/** Removes unknown fields until the strict schema reports none. */
function withoutUnknown(input: Record<string, unknown>): Record<string, unknown> {
  const parsed = schemaOf(input).safeParse(input)
  const strange = parsed.success
    ? []
    : parsed.error.issues.filter(issue => issue.code === 'unrecognized_keys')
  if (strange.length === 0) return input
  const copy = structuredClone(input)
  for (const { path, keys } of strange) {
    let at: unknown = copy
    for (const step of path) at = (at as Record<PropertyKey, unknown>)[step]
    for (const key of keys) delete (at as Record<string, unknown>)[key]
  }
  return withoutUnknown(copy)
}

function schemaOf(input: unknown): z.ZodType {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new InvalidObject([
      { field: '', message: 'must be an object with apiVersion, kind, metadata and spec' },
    ])
  }
  const { apiVersion, kind } = input as Record<string, unknown>
  if (apiVersion !== API_VERSION) {
    throw new InvalidObject([
      {
        field: 'apiVersion',
        message:
          apiVersion === undefined
            ? `is required; write ${API_VERSION}`
            : `${shorten(JSON.stringify(apiVersion))}: must be ${API_VERSION}`,
      },
    ])
  }
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) {
    const message = `${kind === undefined ? 'is required;' : `${shorten(JSON.stringify(kind))}:`} must be one of ${Object.keys(KINDS).join(', ')}`
    throw new InvalidObject([{ field: 'kind', message }])
  }
  return KINDS[kind as Kind]
}
