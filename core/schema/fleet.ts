import * as z from 'zod'
import { unchanging } from './cel-rule.ts'
import { setOf } from './list-types.ts'
import { labels, poolName } from './values.ts'

/** The kinds that describe machines and what is allowed to run on them. */

export const agentSpec = z.strictObject({
  pool: poolName
    .default('default')
    .describe('The pool of the agent. It runs jobs of this pool only. Default: default.'),
  external: z
    .strictObject({})
    .optional()
    .describe(
      'Set to {} to let a plain server of this name join. Not set on agents of Nodes, which the operator creates.',
    ),
  labels: labels
    .optional()
    .describe(
      'Labels that the selectors of jobs match, in addition to the labels of its Node: at most 64. The agent itself cannot change them.',
    ),
  maxConcurrentRuns: z
    .int()
    .min(0)
    .max(100_000)
    .optional()
    .describe(
      'Maximum number of runs at a time, runs that wait for their start included. At the limit it takes no new runs. Default: no limit. With 0 it takes no runs.',
    ),
  cordoned: z
    .boolean()
    .default(false)
    .describe('Whether the agent is excluded from new runs. Active runs go on. Default: false.'),
})

export const poolSpec = z.strictObject({
  sessionTTLSeconds: z
    .int()
    .min(5)
    .max(600)
    .default(30)
    .describe(
      'How long an agent may be cut off from etcd, in seconds: 5 to 600. Default: 30. After 70 % of it the runs of the agent are killed, except with onDisconnect Continue; after all of it other agents record them as Lost. Choose it longer than an election or a rolling restart of etcd.',
    ),
  paused: z
    .boolean()
    .default(false)
    .describe(
      'Whether the pool starts no new runs. Active runs go on. Times that come due follow catchUp and startingDeadlineSeconds. Default: false.',
    ),
  nodeSelector: labels
    .optional()
    .describe(
      'Selects the Nodes of the pool by label; all labels must match. Default: no Nodes; for pool default, all Nodes except control-plane Nodes and those of other pools.',
    ),
})

const namePattern = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-a-z0-9.*]+$/, 'must be lower-case letters, digits, dashes and dots; * matches any characters')

const userPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_.@*$-]+$/, 'must be the name or the number of a user; * matches any characters')

const policyRule = z.strictObject({
  pools: z
    .array(namePattern)
    .min(1)
    .max(64)
    .describe('Pools that the rule applies to: 1 to 64 names, in which * matches any characters.'),
  host: z
    .strictObject({
      users: z
        .array(userPattern)
        .max(64)
        .optional()
        .describe(
          "Users that commands may run as, in which * matches any characters. '*' allows all, root included. A job without host.user needs root. Default: none.",
        ),
      allowPrivilegeEscalation: z
        .boolean()
        .optional()
        .describe(
          'Allows host.allowPrivilegeEscalation: as these users, commands may gain privileges, as with sudo. Default: false.',
        ),
    })
    .optional()
    .describe('Allows commands on hosts, as the listed users. Default: not allowed.'),
  container: z
    .strictObject({})
    .optional()
    .describe('Set to {} to allow commands in containers. In pool default they are always allowed.'),
  terminal: z
    .boolean()
    .optional()
    .describe('Whether interactive terminals on the agents of these pools are allowed. Default: false.'),
  limits: z
    .strictObject({
      maxJobs: z
        .int()
        .min(0)
        .max(1_000_000)
        .optional()
        .describe(
          'Maximum number of ShellCronJobs in the namespace. The newest jobs beyond it are not Ready. Default: no limit.',
        ),
      minIntervalSeconds: z
        .int()
        .min(0)
        .max(86_400)
        .optional()
        .describe(
          'Minimum time between two scheduled times of a job, in seconds. A job with a shorter interval is not Ready. Default: no minimum.',
        ),
      maxConcurrentRuns: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe(
          'Maximum number of active runs of one job on one target. Times that come due at the limit are recorded as Skipped. Default: no limit.',
        ),
    })
    .optional()
    .describe(
      'Limits of what the rule allows. If several rules allow a template, the most generous one applies. Default: no limits.',
    ),
})
export type PolicyRule = z.infer<typeof policyRule>

export const policySpec = z.strictObject({
  namespaces: setOf(z.array(namePattern).min(1).max(64)).describe(
    'Namespaces that the policy applies to: 1 to 64 names, in which * matches any characters.',
  ),
  rules: z
    .array(policyRule)
    .max(64)
    .describe(
      'What is allowed in these namespaces: at most 64 rules. One rule must allow the whole template. The order of rules has no meaning.',
    ),
})

export const ticketSpec = unchanging(
  z.strictObject({
    nonceHash: z
      .string()
      .length(64)
      .regex(/^[0-9a-f]+$/, 'must be a SHA-256 in lower-case hexadecimal')
      .describe(
        'SHA-256 of a random nonce, in lower-case hexadecimal. The user who knows the nonce is taken for the creator of the ticket.',
      ),
    user: z
      .string()
      .min(1)
      .max(1_024)
      .describe(
        'Name of the user that creates the ticket. An admission policy requires it to equal the user of the request.',
      ),
    groups: z
      .array(z.string().max(1_024))
      .max(256)
      .optional()
      .describe(
        'Groups of the user: at most 256. An admission policy requires them to equal the groups of the request.',
      ),
  }),
  'spec of a ShellTicket cannot be changed; create another ShellTicket',
)
