import type * as z from 'zod'
import { agentSpec, policySpec, poolSpec, ticketSpec } from './fleet.ts'
import { jobSpec } from './job.ts'
import { type Kind, shellCronJob, shellPool, shellRun } from './objects.ts'
import { runSpec } from './run.ts'
import { agentStatus, jobStatus, plainStatus, runStatus } from './status.ts'

/** What kubectl shows of each kind, and by which names. */

export interface Column {
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
  specDescription: string
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
const ready = (description: string): Column =>
  column('Ready', '.status.conditions[?(@.type=="Ready")].status', 'string', description)
const age = column('Age', '.metadata.creationTimestamp', 'date', 'Since it was made.')

export const DEFINITIONS: Record<Kind, Definition> = {
  ShellCronJob: {
    plural: 'shellcronjobs',
    singular: 'shellcronjob',
    shortNames: ['scj'],
    scope: 'Namespaced',
    description:
      'A shell command on a schedule: on the nodes of the cluster, on plain servers, or in running containers.',
    specDescription: 'When the command runs, where, and what it is.',
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
    specDescription: 'What is run, now. It cannot be changed afterwards.',
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
    specDescription: 'What the agent is for.',
    spec: agentSpec,
    status: agentStatus,
    columns: [
      column('Pool', '.spec.pool', 'string', 'Its pool.'),
      ready('Is it alive and does it take runs?'),
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
    specDescription: 'In which namespaces it allows what.',
    spec: policySpec,
    status: plainStatus,
    columns: [
      column('Namespaces', '.spec.namespaces', 'string', 'What it is about.'),
      ready('Is it in force?'),
      age,
    ],
  },
  ShellPool: {
    plural: 'shellpools',
    singular: 'shellpool',
    shortNames: [],
    scope: 'Cluster',
    description: 'A set of agents: the unit of isolation and of scale.',
    specDescription: 'How its agents are kept, and which Nodes are in it.',
    spec: poolSpec,
    status: plainStatus,
    object: shellPool,
    columns: [
      column('TTL', '.spec.sessionTTLSeconds', 'integer', 'Seconds that an agent may be cut off.'),
      column('Paused', '.spec.paused', 'boolean', 'True: nothing in it starts.'),
      ready('Do its agents know of it?'),
      age,
    ],
  },
  ShellTicket: {
    plural: 'shelltickets',
    singular: 'shellticket',
    shortNames: [],
    scope: 'Cluster',
    description: 'Proof of who a user is, for reading output and for the console: short-lived, used once.',
    specDescription: 'Who is proved to be who.',
    spec: ticketSpec,
    status: plainStatus,
    columns: [column('User', '.spec.user', 'string', 'Who made it.'), age],
  },
}
