import type * as z from 'zod'
import { agentSpec, policySpec, poolSpec, ticketSpec } from './fleet.ts'
import { jobSpec } from './job.ts'
import { type Kind, shellCronJob, shellPool, shellRun } from './objects.ts'
import { runSpec } from './run.ts'
import { agentStatus, jobStatus, plainStatus, runStatus } from './status.ts'

/** The names of each kind, its descriptions, and the columns of `kubectl get`. */

export interface Column {
  name: string
  jsonPath: string
  type: 'string' | 'integer' | 'boolean' | 'date'
  description: string
  /** 1: shown only with -o wide. */
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
  /** The schema of the whole object, if rules apply to it. */
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
const age = column('Age', '.metadata.creationTimestamp', 'date', 'Time since the object was created.')

export const DEFINITIONS: Record<Kind, Definition> = {
  ShellCronJob: {
    plural: 'shellcronjobs',
    singular: 'shellcronjob',
    shortNames: ['scj'],
    scope: 'Namespaced',
    description:
      'A shell command on a schedule: on the nodes of the cluster, on plain servers, or in running containers.',
    specDescription: 'The command, its schedule, and where it runs.',
    spec: jobSpec,
    status: jobStatus,
    object: shellCronJob,
    columns: [
      column('Schedule', '.status.schedule', 'string', 'Schedule of the job.'),
      column('Timezone', '.spec.timeZone', 'string', 'Time zone of the schedule.'),
      column('Suspend', '.spec.suspend', 'boolean', 'Whether the schedule is suspended.'),
      ready('Whether the job is compiled and scheduled.'),
      column('Targets', '.status.targets.summary', 'string', 'Agents that are alive / agents that match.'),
      column('Active', '.status.activeCount', 'integer', 'Number of active runs.'),
      column('Last Schedule', '.status.lastScheduleTime', 'date', 'Time since the last scheduled time.'),
      column('Last Result', '.status.lastResult', 'string', 'Outcome of the last finished run.'),
      // A string, because kubectl shows a date in the future as <invalid>.
      column('Next', '.status.nextScheduleTime', 'string', 'Next scheduled time.'),
      age,
      wide(column('Target', '.status.target', 'string', 'Where the command runs: mode, pool and selectors.')),
      wide(column('Command', '.status.command', 'string', 'First line of the script.')),
    ],
  },
  ShellRun: {
    plural: 'shellruns',
    singular: 'shellrun',
    shortNames: ['srun'],
    scope: 'Namespaced',
    description:
      'One run of a shell command, now: of a ShellCronJob or of an inline template. Deleting the object kills the run.',
    specDescription: 'What to run. It cannot be changed after creation.',
    spec: runSpec,
    status: runStatus,
    object: shellRun,
    columns: [
      column('Job', '.spec.jobRef.name', 'string', 'ShellCronJob that is run.'),
      column('Phase', '.status.phase', 'string', 'Pending, Running, or the outcome of the run.'),
      column(
        'Reason',
        '.status.conditions[?(@.type=="Ready")].reason',
        'string',
        'Why the run is not ready: what it waits for, or its outcome.',
      ),
      column('Exit', '.status.exitCode', 'integer', 'Exit code of the command.'),
      column('Started', '.status.startTime', 'date', 'Time since the start of the run.'),
      age,
      wide(column('Target', '.status.target', 'string', 'Where the command runs: mode, pool and selectors.')),
    ],
  },
  ShellAgent: {
    plural: 'shellagents',
    singular: 'shellagent',
    shortNames: ['sag'],
    scope: 'Cluster',
    description: 'A machine on which ShellCron runs commands.',
    specDescription: 'The pool, labels and limits of the agent.',
    spec: agentSpec,
    status: agentStatus,
    columns: [
      column('Pool', '.spec.pool', 'string', 'Pool of the agent.'),
      ready('Whether the agent is alive and takes runs.'),
      column('Running', '.status.running', 'integer', 'Number of runs of the agent.'),
      column('Version', '.status.version', 'string', 'Version of ShellCron that the agent runs.'),
      age,
      wide(column('Cordoned', '.spec.cordoned', 'boolean', 'Whether the agent is excluded from new runs.')),
    ],
  },
  ShellPolicy: {
    plural: 'shellpolicies',
    singular: 'shellpolicy',
    shortNames: ['spol'],
    scope: 'Cluster',
    description:
      'Which commands the jobs of a namespace may run, on which pools and as which users. Policies are additive, as in RBAC: one rule of any policy must allow the whole template. Without a matching rule only commands in containers in pool default are allowed.',
    specDescription: 'Namespaces, and what is allowed in them.',
    spec: policySpec,
    status: plainStatus,
    columns: [
      column('Namespaces', '.spec.namespaces', 'string', 'Namespaces that the policy applies to.'),
      ready('Whether the policy is in force.'),
      age,
    ],
  },
  ShellPool: {
    plural: 'shellpools',
    singular: 'shellpool',
    shortNames: [],
    scope: 'Cluster',
    description:
      'A set of agents that is one trust domain. Its agents share a key for Secrets, and jobs run on the agents of one pool.',
    specDescription: 'Settings of the pool, and its Nodes.',
    spec: poolSpec,
    status: plainStatus,
    object: shellPool,
    columns: [
      column('TTL', '.spec.sessionTTLSeconds', 'integer', 'Seconds that an agent may be cut off from etcd.'),
      column('Paused', '.spec.paused', 'boolean', 'Whether the pool starts no new runs.'),
      ready('Whether the settings of the pool are in force.'),
      age,
    ],
  },
  ShellTicket: {
    plural: 'shelltickets',
    singular: 'shellticket',
    shortNames: [],
    scope: 'Cluster',
    description:
      'Proves the identity of a user, to read output or to open the console. It is valid for 60 seconds and for one use.',
    specDescription: 'The user, and the hash of a nonce.',
    spec: ticketSpec,
    status: plainStatus,
    columns: [column('User', '.spec.user', 'string', 'User that created the ticket.'), age],
  },
}
