import { z } from 'zod'
import { ruled } from './rule.ts'
import { labelSelector, objectName, poolName, quantity } from './values.ts'

export const target = ruled(
  z.strictObject({
    pool: poolName.default('default').describe('The pool of agents to run in.'),
    mode: z
      .enum(['One', 'All', 'Shards'])
      .default('One')
      .describe(
        'One: on one agent. All: on every agent that is selected. Shards: n times, each with its index.',
      ),
    shards: z.int().min(1).max(1_000).optional().describe('How many shards; for mode Shards.'),
    selector: labelSelector.optional().describe('Which agents, by their labels. Default: all of the pool.'),
    agents: z
      .array(objectName)
      .max(256)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Which agents, by name.'),
    maxParallel: z
      .union([
        z.int().min(1).max(100_000),
        z
          .string()
          .max(4)
          .regex(/^(100|[1-9]?[0-9])%$/),
      ])
      .optional()
      .meta({ 'x-kubernetes-int-or-string': true })
      .describe('Mode All: so many targets at a time, a number or a percentage.'),
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
      message: 'maxParallel belongs to mode All',
      path: ['maxParallel'],
      holds: ({ mode, maxParallel }) => maxParallel === undefined || mode === 'All',
    },
  ],
)

const account = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/)

export const host = z.strictObject({
  user: account
    .optional()
    .describe("The user that the command runs as. Default: the agent's own, which policies judge as root."),
  group: account.optional().describe("Default: the user's primary group."),
  resources: z
    .strictObject({
      cpu: quantity.optional().describe('At most so much CPU time: 500m is half of one.'),
      memory: quantity.optional().describe('At most so much memory; more ends the run as OOMKilled.'),
      pids: z.int().min(1).max(4_194_304).optional().describe('At most so many processes and threads.'),
    })
    .optional()
    .describe('Limits of each run.'),
})

export const container = z.strictObject({
  selector: labelSelector.describe("Which Pods of the job's namespace; on plain servers which containers."),
  name: z.string().min(1).max(253).optional().describe('Which container of the Pod. Default: the first.'),
  pick: z.enum(['One', 'Each']).default('One').describe('One of those that are found, or each.'),
})
