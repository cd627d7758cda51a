import { z } from 'zod'
import { InvalidInput } from '../errors.ts'
import { agentSpec, policySpec, poolSpec, ticketSpec } from './fleet.ts'
import { jobSpec } from './job.ts'
import { ruled } from './rule.ts'
import { runSpec } from './run.ts'
import { agentStatus, jobStatus, plainStatus, runStatus } from './status.ts'

/** The kinds of group shellcron.dev, as an object carries them. */

export const GROUP = 'shellcron.dev'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}`

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/** What a person writes of metadata; an API server adds more, which passes. */
const metadata = z.looseObject({
  name: z.string().min(1).max(253).regex(DNS_SUBDOMAIN, 'must be lower-case letters, digits and dashes'),
  namespace: z
    .string()
    .min(1)
    .max(63)
    .regex(DNS_LABEL, 'must be lower-case letters, digits and dashes')
    .optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.union([z.string(), z.date()]).nullish(),
  deletionTimestamp: z.union([z.string(), z.date()]).nullish(),
  finalizers: z.array(z.string()).optional(),
})
export type Metadata = z.infer<typeof metadata>

/** A run's id is made of it: `<namespace>.<name>.<time>[.<target>]` must be read one way only. */
const shortName = {
  cel: "self.metadata.name.size() <= 52 && !self.metadata.name.contains('.')",
  message: 'metadata.name must have at most 52 characters and no dots',
  path: ['metadata', 'name'],
  holds: (object: { metadata: Metadata }) =>
    object.metadata.name.length <= 52 && !object.metadata.name.includes('.'),
}

function objectOf<K extends string, S extends z.ZodType, T extends z.ZodType>(kind: K, spec: S, status: T) {
  return z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata,
    spec,
    status: status.optional(),
  })
}

export const shellCronJob = ruled(objectOf('ShellCronJob', jobSpec, jobStatus), [shortName])
export const shellRun = ruled(objectOf('ShellRun', runSpec, runStatus), [shortName])
export const shellAgent = objectOf('ShellAgent', agentSpec, agentStatus)
export const shellPolicy = objectOf('ShellPolicy', policySpec, plainStatus)
export const shellPool = objectOf('ShellPool', poolSpec, plainStatus)
export const shellTicket = objectOf('ShellTicket', ticketSpec, plainStatus)

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

/** Every thing that is wrong with an object. The first is the error's own field and message. */
export class InvalidObject extends InvalidInput {
  readonly problems: readonly { field: string; message: string }[]

  constructor(problems: readonly { field: string; message: string }[]) {
    super(problems[0]?.field ?? '', problems[0]?.message ?? 'is not valid')
    this.problems = problems
  }
}

/**
 * An object as a person wrote it: strict, with the CRD's defaults applied, and by the CRD's rules. Throws InvalidObject, whose
 * problems name the field as it was written, the value and the remedy.
 */
export function parseObject(input: unknown): ShellCronObject {
  const parsed = schemaOf(input).safeParse(input, { reportInput: true })
  if (!parsed.success) throw new InvalidObject(parsed.error.issues.flatMap(problemsOf))
  const object = parsed.data as ShellCronObject
  if (!NAMESPACED.has(object.kind) && object.metadata.namespace !== undefined) {
    throw new InvalidObject([
      { field: 'metadata.namespace', message: `a ${object.kind} has no namespace; leave it out` },
    ])
  }
  return object
}

/** An object that an API server has admitted, perhaps by a newer CRD: fields that are not known here are passed over. */
export function parseStored(input: unknown): ShellCronObject {
  const { status: _, ...rest } = input as Record<string, unknown>
  const known = withoutUnknown(rest)
  const parsed = schemaOf(known).safeParse(known)
  if (!parsed.success) throw new InvalidObject(parsed.error.issues.flatMap(problemsOf))
  return parsed.data as ShellCronObject
}

/** Takes away what strict schemas call unknown, until they call nothing so. */
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
      { field: '', message: 'is not an object with apiVersion, kind, metadata and spec' },
    ])
  }
  const { apiVersion, kind } = input as Record<string, unknown>
  if (apiVersion !== API_VERSION) {
    throw new InvalidObject([
      { field: 'apiVersion', message: `"${String(apiVersion)}" is not known; write ${API_VERSION}` },
    ])
  }
  if (typeof kind !== 'string' || !(kind in KINDS)) {
    const message = `"${String(kind)}" is not a kind of ${GROUP}; there are ${Object.keys(KINDS).join(', ')}`
    throw new InvalidObject([{ field: 'kind', message }])
  }
  return KINDS[kind as Kind]
}

function problemsOf(issue: z.core.$ZodIssue): { field: string; message: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      field: fieldOf([...issue.path, key]),
      message: 'is not a known field; check its spelling and its place',
    }))
  }
  return [{ field: fieldOf(issue.path), message: describe(issue) }]
}

/** As a person would say it: spec.template.spec.env[0].name. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i === 0 ? '' : '.'}${String(step)}`))
    .join('')
}

function describe(issue: z.core.$ZodIssue): string {
  const value = issue.input
  const shown =
    value === undefined || typeof value === 'object' ? '' : `${JSON.stringify(value).slice(0, 80)}: `
  if (issue.code === 'invalid_type' && value === undefined) return 'is missing'
  return `${shown}${issue.message.replace(/^Invalid input: /, '').replace(/^Invalid string: /, '')}`
}
