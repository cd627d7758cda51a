import { z } from 'zod'
import { agentSpec, policySpec, poolSpec, ticketSpec } from './fleet.ts'
import { jobSpec } from './job.ts'
import { GROUP, type Kind, shellCronJob, shellRun, VERSION } from './objects.ts'
import { runSpec } from './run.ts'
import { agentStatus, jobStatus, plainStatus, runStatus } from './status.ts'

/** CustomResourceDefinitions made from the schemas: structural, as an API server demands, with the rules in CEL. */

type Json = { [key: string]: Value }
type Value = Json | Value[] | string | number | boolean | undefined

interface Column {
  name: string
  jsonPath: string
  type: 'string' | 'integer' | 'boolean' | 'date'
  description: string
  /** 1: only with -o wide. */
  priority?: number
}

interface Definition {
  plural: string
  singular: string
  shortNames: string[]
  scope: 'Namespaced' | 'Cluster'
  description: string
  spec: z.ZodType
  status: z.ZodType
  /** The whole object, if rules stand on it. */
  object?: z.ZodType
  columns: Column[]
}

const column = (name: string, jsonPath: string, type: Column['type'], description: string): Column => ({
  name,
  jsonPath,
  type,
  description,
})
const wide = (it: Column): Column => ({ ...it, priority: 1 })
const age = column('Age', '.metadata.creationTimestamp', 'date', 'Since it was made.')

const DEFINITIONS: Record<Kind, Definition> = {
  ShellCronJob: {
    plural: 'shellcronjobs',
    singular: 'shellcronjob',
    shortNames: ['scj'],
    scope: 'Namespaced',
    description: 'A shell command on a schedule.',
    spec: jobSpec,
    status: jobStatus,
    object: shellCronJob,
    columns: [
      column('Schedule', '.status.schedule', 'string', 'When it runs.'),
      column('Timezone', '.spec.timeZone', 'string', 'In which zone.'),
      column('Suspend', '.spec.suspend', 'boolean', 'True: no times come due.'),
      column('Active', '.status.activeCount', 'integer', 'Runs that go on.'),
      column('Last Schedule', '.status.lastScheduleTime', 'date', 'Since the last time that was due.'),
      column('Last Result', '.status.lastResult', 'string', 'How it ended.'),
      // A date in the future would be shown as <invalid>: this is a string.
      column('Next', '.status.nextScheduleTime', 'string', 'The next time.'),
      age,
      wide(column('Target', '.status.target', 'string', 'Where it runs.')),
      wide(column('Command', '.status.command', 'string', 'What it runs.')),
    ],
  },
  ShellRun: {
    plural: 'shellruns',
    singular: 'shellrun',
    shortNames: ['srun'],
    scope: 'Namespaced',
    description:
      'One run of a shell command, now: of a ShellCronJob, or of an inline template. Deleting it kills it.',
    spec: runSpec,
    status: runStatus,
    object: shellRun,
    columns: [
      column('Job', '.spec.jobRef.name', 'string', 'The job that it runs.'),
      column('Phase', '.status.phase', 'string', 'Pending, Running, or the outcome.'),
      column('Exit', '.status.exitCode', 'integer', 'The exit code.'),
      column('Started', '.status.startTime', 'date', 'Since its start.'),
      age,
      wide(column('Target', '.status.target', 'string', 'Where it runs.')),
    ],
  },
  ShellAgent: {
    plural: 'shellagents',
    singular: 'shellagent',
    shortNames: ['sag'],
    scope: 'Cluster',
    description: 'A machine on which commands can run.',
    spec: agentSpec,
    status: agentStatus,
    columns: [
      column('Pool', '.spec.pool', 'string', 'Its pool.'),
      column(
        'Ready',
        '.status.conditions[?(@.type=="Ready")].status',
        'string',
        'Is it alive and does it take runs?',
      ),
      column('Running', '.status.running', 'integer', 'Runs that it has.'),
      column('Version', '.status.version', 'string', 'Of ShellCron.'),
      age,
      wide(column('Cordoned', '.spec.cordoned', 'boolean', 'True: it takes no new runs.')),
    ],
  },
  ShellPolicy: {
    plural: 'shellpolicies',
    singular: 'shellpolicy',
    shortNames: ['spol'],
    scope: 'Cluster',
    description: 'Who may run what where. Policies add up; one rule must allow the whole template.',
    spec: policySpec,
    status: plainStatus,
    columns: [column('Namespaces', '.spec.namespaces', 'string', 'What it is about.'), age],
  },
  ShellPool: {
    plural: 'shellpools',
    singular: 'shellpool',
    shortNames: [],
    scope: 'Cluster',
    description: 'A set of agents: the unit of isolation and of scale.',
    spec: poolSpec,
    status: plainStatus,
    columns: [
      column('TTL', '.spec.sessionTTLSeconds', 'integer', 'Seconds that an agent may be cut off.'),
      column('Paused', '.spec.paused', 'boolean', 'True: nothing in it starts.'),
      age,
    ],
  },
  ShellTicket: {
    plural: 'shelltickets',
    singular: 'shellticket',
    shortNames: [],
    scope: 'Cluster',
    description: 'Proof of who a user is, for reading output and for the console: short-lived, used once.',
    spec: ticketSpec,
    status: plainStatus,
    columns: [column('User', '.spec.user', 'string', 'Who made it.'), age],
  },
}

/** The CustomResourceDefinition of a kind. */
export function crdOf(kind: Kind): Json {
  const { plural, singular, shortNames, scope, description, spec, status, object, columns } =
    DEFINITIONS[kind]
  const rules = object?.meta()?.['x-kubernetes-validations'] as Json[] | undefined
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['shellcron'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns as unknown as Json[],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description,
              required: ['spec'],
              ...(rules ? { 'x-kubernetes-validations': rules } : {}),
              properties: {
                apiVersion: { type: 'string', description: 'Version of this form of the object.' },
                kind: { type: 'string', description: 'The kind of object.' },
                metadata: { type: 'object' },
                spec: { ...structural(spec), description: `What ${kind} is to be.` },
                status: {
                  ...structural(status),
                  description: 'What ShellCron says of it.',
                  // Without it kstatus takes an object that nobody has looked at for ready.
                  default: { observedGeneration: -1 },
                },
              },
            },
          },
        },
      ],
    },
  }
}

function structural(schema: z.ZodType): Json {
  return clean(
    z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }) as Json,
  ) as Json
}

/** Bounds that say only what JavaScript can count to. */
const SAFE = Number.MAX_SAFE_INTEGER

/** What zod writes and an API server refuses or needs otherwise. */
function clean(node: Value): Value {
  if (Array.isArray(node)) return node.map(each => clean(each) as Json)
  if (typeof node !== 'object') return node
  if (node['x-kubernetes-int-or-string'] === true) return intOrString(node)
  const kept = Object.entries(node).filter(
    ([key, value]) =>
      key !== '$schema' &&
      key !== 'propertyNames' &&
      !(key === 'additionalProperties' && value === false) &&
      !(key === 'maximum' && value === SAFE) &&
      !(key === 'minimum' && value === -SAFE),
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, key === 'default' ? value : clean(value)]))
}

function intOrString({ description, default: fallback, anyOf }: Json): Json {
  const text = (anyOf as Json[]).find(({ type }) => type === 'string')
  return {
    'x-kubernetes-int-or-string': true,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    ...(text?.pattern ? { pattern: text.pattern } : {}),
    ...(description ? { description } : {}),
    ...(fallback === undefined ? {} : { default: fallback }),
  }
}
