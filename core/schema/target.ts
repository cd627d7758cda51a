import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { setOf } from './list-types.ts'
import { labelSelector, objectName, poolName, quantity } from './values.ts'

const PARALLEL = 'must be a number from 1 to 100000 or a percentage from 1% to 100%'

export const target = ruled(
  z.strictObject({
    pool: poolName.default('default').describe('The pool whose agents run the command. Default: default.'),
    mode: z
      .enum(['One', 'All', 'Shards'])
      .default('One')
      .describe(
        'On how many agents each scheduled time runs. One (default): on one of the selected agents. All: on each of them. Shards: as many runs as shards says, each on one of them.',
      ),
    shards: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        'Mode Shards: the number of runs, 1 to 1000. Each gets its index, from 0, in SHELLCRON_SHARD_INDEX and the number in SHELLCRON_SHARD_COUNT. Required in mode Shards, refused otherwise.',
      ),
    selector: labelSelector
      .optional()
      .describe(
        'Selects agents of the pool by label. Default: all agents of the pool. If no agent matches, the job does not run.',
      ),
    agents: setOf(z.array(objectName).max(256))
      .optional()
      .describe(
        'Selects agents of the pool by name: at most 256. An agent must match both agents and selector if both are set. Default, or if empty: any name.',
      ),
    maxParallel: z
      .union(
        [
          z.int().min(1).max(100_000),
          z
            .string()
            .max(4)
            .regex(/^(100|[1-9][0-9]?)%$/, PARALLEL),
        ],
        { error: PARALLEL },
      )
      .optional()
      .meta({ 'x-kubernetes-int-or-string': true })
      .describe(
        'Mode All: on how many agents the command may run at a time: a number, or a percentage of the matching agents, alive or not. A percentage is rounded down, to at least 1. Default: all at once.',
      ),
  }),
  [
    {
      // An API server evaluates the rule before it fills in the defaults inside this object, so `mode` may be absent.
      cel: "(has(self.mode) && self.mode == 'Shards') == has(self.shards)",
      message: 'shards is required in mode Shards and not allowed in other modes; set both or neither',
      path: ['shards'],
      holds: ({ mode, shards }) => (mode === 'Shards') === (shards !== undefined),
    },
    {
      cel: "!has(self.maxParallel) || (has(self.mode) && self.mode == 'All')",
      message: 'maxParallel needs mode All; set mode All, or remove maxParallel',
      path: ['maxParallel'],
      holds: ({ mode, maxParallel }) => maxParallel === undefined || mode === 'All',
    },
  ],
)

const account = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/, 'must be the name or the number of a user or group')

export const host = z.strictObject({
  user: account
    .optional()
    .describe(
      "The user that runs the command, by name or number. Default: the agent's own user, which policies treat as root. A user that does not exist on the machine fails the run.",
    ),
  group: account
    .optional()
    .describe("The group that runs the command, by name or number. Default: the user's primary group."),
  resources: z
    .strictObject({
      cpu: quantity('1m', '100k')
        .optional()
        .describe(
          'Maximum CPU time, in CPUs: 1m to 100k; 500m is half a CPU. A run that wants more is throttled. Default: no limit.',
        ),
      memory: quantity('1Mi', '100Ti')
        .optional()
        .describe(
          'Maximum memory, in bytes, such as 256Mi: 1Mi to 100Ti. A run that needs more fails with reason OOMKilled. Default: no limit.',
        ),
      pids: z
        .int()
        .min(1)
        .max(4_194_304)
        .optional()
        .describe(
          'Maximum number of processes and threads: 1 to 4194304. A run that needs more cannot start them. Default: no limit.',
        ),
    })
    .optional()
    .describe('Limits of each run, for all of its processes together. Default: none.'),
  limits: z
    .strictObject({
      nofile: z
        .int()
        .min(16)
        .max(1_073_741_816)
        .optional()
        .describe(
          'Maximum number of open files: 16 to 1073741816, as LimitNOFILE of systemd. Default: the limits that the agent was started with.',
        ),
      core: quantity('0', '1Ti')
        .optional()
        .describe(
          'Maximum size of a core dump, in bytes, such as 100Mi; 0 writes none. Maximum: 1Ti. Default: the limit that the agent was started with.',
        ),
    })
    .optional()
    .describe(
      'Limits of each process, soft and hard. A limit above the hard limit of the machine fails the run with exit code 125.',
    ),
  allowPrivilegeEscalation: z
    .boolean()
    .optional()
    .describe(
      "Whether the command may gain privileges, as with sudo. A ShellPolicy and the machine's local file must allow it too. Default: false: a command that does not run as root gets no_new_privs.",
    ),
})

export const container = z.strictObject({
  selector: labelSelector.describe(
    "Selects running Pods of the job's namespace by label. On a plain server, selects containers by label. {} selects all.",
  ),
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'must be the name of a container')
    .optional()
    .describe(
      "Name of the container. Default: the one in the Pod's annotation kubectl.kubernetes.io/default-container, else the only running container. If several run, the run fails with reason ContainerAmbiguous.",
    ),
  pick: z
    .enum(['One', 'Each'])
    .default('One')
    .describe(
      'In which of the matching containers on a machine the command runs. One (default): in the oldest. Each: in all of them, at the same time.',
    ),
})
