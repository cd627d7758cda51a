import * as z from 'zod'

/**
 * Compiled forms of a ShellCronJob and a ShellRun: what agents act on. Written by the operator only, signed.
 * Tolerant: agents and operators upgrade separately, so an unknown field is passed over and a new one has a default.
 */

const host = z.object({
  user: z.string().optional(),
  group: z.string().optional(),
  resources: z
    .object({
      cpuMillis: z.number().optional(),
      memoryBytes: z.number().optional(),
      pids: z.number().optional(),
    })
    .optional(),
})

const selector = z.object({
  matchLabels: z.record(z.string(), z.string()).default({}),
  matchExpressions: z
    .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).default([]) }))
    .default([]),
})
export type LabelSelector = z.infer<typeof selector>

const container = z.object({
  selector,
  name: z.string().optional(),
  pick: z.enum(['One', 'Each']).default('One'),
})

export const placementSchema = z.object({
  mode: z.enum(['One', 'All', 'Shards']).default('One'),
  shards: z.number().optional(),
  selector: selector.optional(),
  agents: z.array(z.string()).default([]),
  maxParallel: z.union([z.string(), z.number()]).optional(),
})
export type Placement = z.infer<typeof placementSchema>

export const commandSchema = z.object({
  labels: z.record(z.string(), z.string()).default({}),
  placement: placementSchema,
  host: host.optional(),
  container: container.optional(),
  shell: z.array(z.string()),
  script: z.string(),
  /** Values known in clear. Those from Secrets and ConfigMaps travel in `sealed`. */
  env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  workingDir: z.string().optional(),
  tty: z.boolean().default(false),
  successExitCodes: z.array(z.number()).default([0]),
  activeDeadlineSeconds: z.number().optional(),
  terminationGracePeriodSeconds: z.number().default(10),
  onDisconnect: z.enum(['Stop', 'Continue']).default('Stop'),
  backoffLimit: z.number().default(0),
  /** Bytes. */
  outputLimit: z.number(),
})
export type Command = z.infer<typeof commandSchema>

const common = {
  uid: z.string(),
  generation: z.number(),
  pool: z.string(),
  namespace: z.string(),
  name: z.string(),
  command: commandSchema,
  /** `PARAM_<NAME>` of a run that nobody gave values. */
  parameters: z.record(z.string(), z.string()).default({}),
  /** Environment sealed with the pool's key: base64, opened by an agent of the pool just before the start. */
  sealed: z.string().optional(),
  /** Names of sealed variables whose values are from ConfigMaps: no secrets, so that they are not masked in what is shown of output. */
  notSecret: z.array(z.string()).optional(),
  /** Of what is sealed, keyed with the operator's key: tells the operator whether it must be sealed anew, and nobody what it is. */
  sealedDigest: z.string().optional(),
  /** Set: runs nothing, its times end as Missed with this reason. `since`: ms since the epoch. */
  blocked: z.object({ reason: z.string(), message: z.string(), since: z.number().optional() }).optional(),
  /** Of the policy rule that allows it: per job and target. */
  maxConcurrentRuns: z.number().optional(),
}

export const jobEntrySchema = z.object({
  ...common,
  kind: z.literal('job'),
  schedules: z.array(z.string()).min(1),
  timeZone: z.string(),
  daylightSaving: z.object({
    skipped: z.enum(['RunAfter', 'Skip']),
    repeated: z.enum(['RunOnce', 'RunTwice']),
  }),
  jitterSeconds: z.number().default(0),
  startingDeadlineSeconds: z.number().optional(),
  catchUp: z.enum(['None', 'Latest', 'All']).default('Latest'),
  catchUpLimit: z.number().default(100),
  concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).default('Allow'),
  suspended: z.boolean().default(false),
  /** ms since the epoch: times count from the later of this and the cell's frontier. */
  scheduleChangedAt: z.number(),
  /** The beacon's epoch in which it was put: an older one must count anew, as etcd was restored from a snapshot. */
  epoch: z.number().default(0),
  /**
   * Suspended by the operator for an edit of times or targets, which goes on after a crash from what stands here: `at` is the instant
   * of the edit, and if `settle` is set every cell is first settled up to it with that reason.
   */
  editing: z.object({ at: z.number(), settle: z.string().optional() }).optional(),
})
export type JobEntry = z.infer<typeof jobEntrySchema>

export const runEntrySchema = z.object({
  ...common,
  kind: z.literal('run'),
  jobRef: z.object({ name: z.string(), uid: z.string() }).optional(),
  concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).default('Allow'),
  /** With jobRef: only these targets; empty: all. */
  targets: z.array(z.string()).default([]),
  createdAt: z.number(),
  /** ms since the epoch: unclaimed then, it is Missed. */
  deadline: z.number(),
})
export type RunEntry = z.infer<typeof runEntrySchema>

export type Entry = JobEntry | RunEntry
