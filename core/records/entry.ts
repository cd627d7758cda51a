import * as z from 'zod'

/**
 * The compiled forms of a ShellCronJob and a ShellRun, which agents execute. Only the operator writes them, and signs them. Agents and
 * operators upgrade separately, so the schemas are tolerant: an unknown field is ignored, and a new field has a default.
 */

const host = z.object({
  user: z.string().optional(),
  group: z.string().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  resources: z
    .object({
      cpuMillis: z.number().optional(),
      memoryBytes: z.number().optional(),
      pids: z.number().optional(),
    })
    .optional(),
  /** Of each process. `core`: bytes. */
  limits: z.object({ nofile: z.number().optional(), core: z.number().optional() }).optional(),
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
  /** The interpreter that the first line of the script names. It gets the script as a file; `shell` is then for older agents. */
  interpreter: z.array(z.string()).optional(),
  script: z.string(),
  /** Plain values. Values from Secrets and ConfigMaps are in `sealed`. */
  env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  workingDir: z.string().optional(),
  tty: z.boolean().default(false),
  leftovers: z.enum(['Kill', 'Leave']).default('Kill'),
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
  /** The number of the operator's write: it grows with each one of the same uid. Absent: an older operator wrote it. */
  written: z.number().optional(),
  pool: z.string(),
  namespace: z.string(),
  name: z.string(),
  command: commandSchema,
  /** Default values of parameters, as `PARAM_<NAME>`. */
  parameters: z.record(z.string(), z.string()).default({}),
  /** Environment variables sealed with the pool's key, in base64. An agent of the pool opens them just before the start. */
  sealed: z.string().optional(),
  /** Names of the sealed variables that come from ConfigMaps. They are not secret, so output is not redacted for them. */
  notSecret: z.array(z.string()).optional(),
  /** Keyed digest of the sealed values. With it the operator sees whether to seal them again; it reveals nothing to others. */
  sealedDigest: z.string().optional(),
  /** Set: the object runs nothing, and its times end as Missed with this reason. `since`: ms since the epoch. */
  blocked: z.object({ reason: z.string(), message: z.string(), since: z.number().optional() }).optional(),
  /** The limit per job and target, from the policy rule that allows the template. */
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
  /** ms since the epoch. Times count from this, or from the cell's frontier if that is later. */
  scheduleChangedAt: z.number(),
  /** The beacon's epoch at the write. If it is older than the current one, etcd was restored from a snapshot, and times count from now. */
  epoch: z.number().default(0),
  /**
   * How often the operator's clock was ahead and was set right while times of this job were settled or run under it. It is in the ids of
   * runs (core/keys.ts), and each one counts its times anew: see core/fires/clock-epoch.ts.
   */
  clockEpoch: z.number().default(0),
  /** How the present clock epoch began, ms since the epoch. `at`: when. `until`: the times up to this one had been used before. */
  clockSetBack: z.object({ at: z.number(), until: z.number() }).optional(),
  /**
   * The operator has suspended the job for an edit of its times or targets. After a crash it continues the edit from this field. `at`: the
   * instant of the edit. `settle`: the reason with which every cell is first settled up to that instant.
   */
  editing: z
    .object({
      at: z.number(),
      settle: z.string().optional(),
      /** A new clock epoch begins: `clockEpoch` and `clockSetBack` of the next entry. Each cell's frontier is first set back. */
      clock: z.object({ epoch: z.number(), until: z.number() }).optional(),
    })
    .optional(),
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
  /** ms since the epoch. A run that is unclaimed by then is Missed. */
  deadline: z.number(),
})
export type RunEntry = z.infer<typeof runEntrySchema>

export type Entry = JobEntry | RunEntry
