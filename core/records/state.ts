import * as z from 'zod'

/** The values in etcd that change while jobs run. The schemas are tolerant, as those of entries are. */

export const OUTCOMES = [
  'Succeeded',
  'Failed',
  'TimedOut',
  'Killed',
  'Lost',
  'Cancelled',
  'Skipped',
  'Missed',
] as const
export type Outcome = (typeof OUTCOMES)[number]

export const cellSchema = z.object({
  uid: z.string(),
  /** The frontier, ms since the epoch. Every time up to it has an outcome or an active run, or is the waiting one. */
  lastFire: z.number(),
  active: z.array(z.object({ run: z.string(), agent: z.string(), attempt: z.number() })).default([]),
  /** A time that waits for an active run to end, or for a slot of its wave. */
  waiting: z
    .object({
      time: z.number(),
      by: z.string(),
      /** It waits for a slot of `maxParallel`. */
      wave: z.boolean().optional(),
    })
    .optional(),
  /** In a ShellRun's cell: the run was claimed or settled, and is never offered again. */
  taken: z.boolean().optional(),
  /** Mode All: the agent is no longer a target. The cell is settled, and deleted when no run is active. */
  retired: z.boolean().optional(),
  /** In a wave's cell, whose active runs hold its slots: the agent that took the last slot. */
  turn: z.string().optional(),
})
export type Cell = z.infer<typeof cellSchema>

/** The identity of an attempt, the same in active entries and in results. */
const attempt = {
  run: z.string(),
  kind: z.enum(['job', 'run']),
  uid: z.string(),
  generation: z.number(),
  namespace: z.string(),
  name: z.string(),
  target: z.string(),
  /** The scheduled time, or a ShellRun's creation; ms since the epoch. */
  time: z.number(),
  attempt: z.number(),
}

export const activeSchema = z.object({
  ...attempt,
  /** The earliest start: the scheduled time with its jitter, or the end of a backoff. */
  notBefore: z.number(),
  /** Create revision of the owner's registration; 0 while it has no owner. */
  session: z.number(),
  /** The launcher instance that runs it, or is about to. */
  instance: z.string(),
  /** onDisconnect Continue: it is not buried before this time. */
  buryAfter: z.number().optional(),
  /** Its time waited in the cell before it was claimed, so `catchUp` does not apply to it. */
  waited: z.boolean().optional(),
  /** The owner must kill it, with this reason. */
  kill: z.object({ reason: z.string() }).optional(),
  /** The job of a ShellRun with jobRef. The run counts in that job's cell too. */
  jobName: z.string().optional(),
  /** It holds a slot of its wave. A pending attempt without owner has freed its slot; its next owner takes one again. */
  wave: z.boolean().optional(),
})
export type Active = z.infer<typeof activeSchema>

export const resultSchema = z.object({
  ...attempt,
  /** The job of a ShellRun with jobRef. */
  jobName: z.string().optional(),
  agent: z.string().optional(),
  startedAt: z.number().optional(),
  endedAt: z.number(),
  outcome: z.enum(OUTCOMES),
  exitCode: z.number().optional(),
  signal: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  /** The last bytes of output. */
  tail: z.string().optional(),
  /** What went wrong besides the outcome, as reasons of Events: `OOMKilled`, `PidsLimit`. */
  warnings: z.array(z.string()).optional(),
  /** No further attempt follows: this is the run's outcome. */
  final: z.boolean(),
  /** Several times that ended the same way without a process. `time` is the last of them. */
  range: z.object({ first: z.number(), count: z.number() }).optional(),
})
export type Result = z.infer<typeof resultSchema>

/** Why a connected agent claims nothing, for reasons that only the agent knows. */
export type Trouble = 'RestoredSnapshot' | 'ClockSkewed' | 'EtcdFull' | 'LauncherSilent'

export const registrationSchema = z.object({
  version: z.string(),
  instance: z.string(),
  startedAt: z.number(),
  tzdata: z.string().default(''),
  /** The reason may be unknown here, because the agent may be newer. A malformed value is ignored, so that the agent still counts. */
  trouble: z
    .object({ reason: z.string().regex(/^[A-Za-z]\w{0,63}$/), since: z.number() })
    .optional()
    .catch(undefined),
})
export type Registration = z.infer<typeof registrationSchema>

export const memberSchema = z.object({
  labels: z.record(z.string(), z.string()).default({}),
  maxConcurrentRuns: z.number().optional(),
  cordoned: z.boolean().default(false),
  enrolledAt: z.number(),
})
export type Member = z.infer<typeof memberSchema>

export const poolSchema = z.object({
  ttlSeconds: z.number().default(30),
  paused: z.boolean().default(false),
  draining: z.boolean().default(false),
  sealKey: z.string().default(''),
})
export type Pool = z.infer<typeof poolSchema>

export const beaconSchema = z.object({ epoch: z.number(), n: z.number(), time: z.number() })
export type Beacon = z.infer<typeof beaconSchema>

/** A request to the agents of a pool. `run`: claim this target of a ShellRun. `offer`: claim this time, which no agent has claimed. `kill`: kill this run. */
export const requestSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('run'),
    namespace: z.string(),
    name: z.string(),
    target: z.string(),
    uid: z.string(),
  }),
  z.object({
    kind: z.literal('offer'),
    namespace: z.string(),
    name: z.string(),
    target: z.string(),
    uid: z.string(),
    time: z.number(),
  }),
  z.object({ kind: z.literal('kill'), run: z.string(), uid: z.string(), reason: z.string() }),
])
export type Request = z.infer<typeof requestSchema>
