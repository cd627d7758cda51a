import { z } from 'zod'
import { labels, poolName } from './values.ts'

/** The kinds that describe machines and what may run on them. */

export const agentSpec = z.strictObject({
  pool: poolName.default('default').describe('The pool that it belongs to.'),
  external: z
    .strictObject({})
    .optional()
    .describe('Set: a plain server, to be enrolled. Unset: made for a Node.'),
  labels: labels.optional().describe('What selectors see of it.'),
  maxConcurrentRuns: z
    .int()
    .min(0)
    .max(100_000)
    .optional()
    .describe('At most so many runs at a time. Default: no limit.'),
  cordoned: z.boolean().default(false).describe('True: it takes no new runs.'),
})

export const poolSpec = z.strictObject({
  sessionTTLSeconds: z
    .int()
    .min(5)
    .max(600)
    .default(30)
    .describe(
      'How long an agent may be cut off before its runs are given up. Longer than an election of etcd.',
    ),
  paused: z.boolean().default(false).describe('True: nothing in it starts.'),
  nodeSelector: labels
    .optional()
    .describe("Its Nodes. Pool default: all but control-plane ones and other pools'."),
})

const namePattern = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-a-z0-9.*]+$/)

const policyRule = z.strictObject({
  pools: z.array(namePattern).min(1).max(64).describe('Pools that it is about; * stands for any characters.'),
  host: z
    .strictObject({
      users: z
        .array(z.string().min(1).max(33))
        .max(64)
        .optional()
        .describe("Users that commands may run as; '*' for all, root included."),
    })
    .optional()
    .describe('Set: commands may run on hosts.'),
  container: z.strictObject({}).optional().describe('Set: commands may run in containers.'),
  terminal: z.boolean().optional().describe('True: terminals may be opened.'),
  limits: z
    .strictObject({
      maxJobs: z.int().min(0).max(1_000_000).optional().describe('ShellCronJobs in the namespace.'),
      minIntervalSeconds: seconds0().optional().describe('Least time between two fires of a job.'),
      maxConcurrentRuns: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe('Runs at a time, for each job and target.'),
    })
    .optional()
    .describe('Of the most generous rule that allows a template.'),
})
export type PolicyRule = z.infer<typeof policyRule>

function seconds0() {
  return z.int().min(0).max(86_400)
}

export const policySpec = z.strictObject({
  namespaces: z
    .array(namePattern)
    .min(1)
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Namespaces that it is about, by name; * stands for any characters.'),
  rules: z
    .array(policyRule)
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('One rule must allow the whole template. Policies add up; order means nothing.'),
})

export const ticketSpec = z.strictObject({
  nonceHash: z
    .string()
    .length(64)
    .regex(/^[0-9a-f]+$/)
    .describe('SHA-256 of a nonce, in hexadecimal.'),
  user: z
    .string()
    .min(1)
    .max(1_024)
    .describe("The name of who makes it: an admission policy holds it equal to the request's."),
  groups: z
    .array(z.string().max(1_024))
    .max(256)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('And the groups.'),
})
