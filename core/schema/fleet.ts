import * as z from 'zod'
import { unchanging } from './cel-rule.ts'
import { setOf } from './list-types.ts'
import { labels, poolName } from './values.ts'

/** The kinds that describe machines and what may run on them. */

export const agentSpec = z.strictObject({
  pool: poolName.default('default').describe('The pool that it belongs to, and whose jobs it runs.'),
  external: z
    .strictObject({})
    .optional()
    .describe('{} for a plain server, which is then to be enrolled. The agents of Nodes are made without.'),
  labels: labels.optional().describe('What the selectors of jobs see. An agent cannot change them itself.'),
  maxConcurrentRuns: z
    .int()
    .min(0)
    .max(100_000)
    .optional()
    .describe('The most runs that it has at a time. Default: no limit.'),
  cordoned: z.boolean().default(false).describe('True: it takes no new runs; those that it has go on.'),
})

export const poolSpec = z.strictObject({
  sessionTTLSeconds: z
    .int()
    .min(5)
    .max(600)
    .default(30)
    .describe('An agent that is cut off from etcd for so long has lost its runs: others take over.'),
  paused: z.boolean().default(false).describe('True: nothing starts in the pool. What runs goes on.'),
  nodeSelector: labels
    .optional()
    .describe(
      "Which Nodes belong to it, by their labels. Pool default, if unset: all but control-plane Nodes and other pools'.",
    ),
})

const namePattern = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-a-z0-9.*]+$/, 'must be a name in lower case, in which * stands for any characters')

const userPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_.@*$-]+$/, 'must be the name of a user, in which * stands for any characters')

const policyRule = z.strictObject({
  pools: z
    .array(namePattern)
    .min(1)
    .max(64)
    .describe('The pools that it is about; * stands for any characters.'),
  host: z
    .strictObject({
      users: z
        .array(userPattern)
        .max(64)
        .optional()
        .describe("As which users; '*' for all, root included. Default: none."),
    })
    .optional()
    .describe('Set: it allows commands on hosts.'),
  container: z
    .strictObject({})
    .optional()
    .describe('{}: it allows commands in containers. In pool default they always are.'),
  terminal: z.boolean().optional().describe('True: it allows terminals.'),
  limits: z
    .strictObject({
      maxJobs: z.int().min(0).max(1_000_000).optional().describe('The most ShellCronJobs in the namespace.'),
      minIntervalSeconds: z
        .int()
        .min(0)
        .max(86_400)
        .optional()
        .describe('The least time between two scheduled times of a job.'),
      maxConcurrentRuns: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe('The most runs at a time of each job on each target.'),
    })
    .optional()
    .describe('Limits of what it allows. Of several rules that allow a template, the most generous counts.'),
})
export type PolicyRule = z.infer<typeof policyRule>

export const policySpec = z.strictObject({
  namespaces: setOf(z.array(namePattern).min(1).max(64)).describe(
    'The namespaces that it is about, by name; * stands for any characters.',
  ),
  rules: z
    .array(policyRule)
    .max(64)
    .describe('What is allowed there. One rule must allow the whole template; their order means nothing.'),
})

export const ticketSpec = unchanging(
  z.strictObject({
    nonceHash: z
      .string()
      .length(64)
      .regex(/^[0-9a-f]+$/, 'must be a SHA-256 in lower-case hexadecimal')
      .describe('SHA-256 of a random nonce, in hexadecimal. Who knows the nonce is who made this.'),
    user: z
      .string()
      .min(1)
      .max(1_024)
      .describe("Who makes it. An admission policy holds it equal to the request's user."),
    groups: z
      .array(z.string().max(1_024))
      .max(256)
      .optional()
      .describe("The user's groups, held equal in the same way."),
  }),
  'spec of a ShellTicket cannot be changed: make another ShellTicket',
)
