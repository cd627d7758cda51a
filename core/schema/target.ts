import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { setOf } from './list-types.ts'
import { labelSelector, objectName, poolName, quantity } from './values.ts'

const PARALLEL = 'must be a number from 1 or a percentage such as 25%'

export const target = ruled(
  z.strictObject({
    pool: poolName.default('default').describe('The pool whose agents run it.'),
    mode: z
      .enum(['One', 'All', 'Shards'])
      .default('One')
      .describe(
        'One: each scheduled time runs on one agent, whichever is free. All: on every selected agent. Shards: in as many parts as shards says, each on some agent, told apart by SHELLCRON_SHARD_INDEX.',
      ),
    shards: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe('Mode Shards: how many parts. Each gets its index, from 0, as SHELLCRON_SHARD_INDEX.'),
    selector: labelSelector
      .optional()
      .describe('Selects agents by their labels. Default: all agents of the pool.'),
    agents: setOf(z.array(objectName).max(256))
      .optional()
      .describe('Selects agents by name; with selector, both must hold.'),
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
      .describe('Mode All: on how many agents at a time, as a number or a percentage. Default: all at once.'),
  }),
  [
    {
      // A default of the object around is judged before the defaults inside it are there: `mode` may be absent.
      cel: "(has(self.mode) && self.mode == 'Shards') == has(self.shards)",
      message: 'shards belongs to mode Shards, which needs it',
      path: ['shards'],
      holds: ({ mode, shards }) => (mode === 'Shards') === (shards !== undefined),
    },
    {
      cel: "!has(self.maxParallel) || (has(self.mode) && self.mode == 'All')",
      message: 'maxParallel belongs to mode All: set mode All, or leave it out',
      path: ['maxParallel'],
      holds: ({ mode, maxParallel }) => maxParallel === undefined || mode === 'All',
    },
  ],
)

const account = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/, 'must be the name or the number of an account')

export const host = z.strictObject({
  user: account
    .optional()
    .describe(
      "The user that runs the command, by name or number. Default: the agent's own, which policies judge as root.",
    ),
  group: account.optional().describe("The group that runs it. Default: the user's primary group."),
  resources: z
    .strictObject({
      cpu: quantity('1m', '100k').optional().describe('CPU time: 500m is half a CPU. More is throttled.'),
      memory: quantity('1Mi', '100Ti')
        .optional()
        .describe('Memory, such as 256Mi. More ends the run, with the reason OOMKilled.'),
      pids: z.int().min(1).max(4_194_304).optional().describe('Processes and threads at a time.'),
    })
    .optional()
    .describe('Limits of each run, for all of its processes together.'),
})

export const container = z.strictObject({
  selector: labelSelector.describe(
    "Selects running Pods of the job's namespace by their labels; on plain servers, containers.",
  ),
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'must be the name of a container')
    .optional()
    .describe(
      "The container's name. Default: the Pod's kubectl.kubernetes.io/default-container, else the only one that runs.",
    ),
  pick: z
    .enum(['One', 'Each'])
    .default('One')
    .describe('One: in one of the containers found on the machine. Each: in every one of them.'),
})
