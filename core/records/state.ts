import * as z from 'zod'

/** What changes while things run. Read tolerantly, as entries are. */

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
  /** The frontier, ms since the epoch: every time up to it has its outcome, an active run, or is the waiting one. */
  lastFire: z.number(),
  active: z.array(z.object({ run: z.string(), agent: z.string(), attempt: z.number() })).default([]),
  /** A time that concurrency holds back: it starts when the active run ends, or when its wave has a place. */
  waiting: z
    .object({
      time: z.number(),
      by: z.string(),
      /** What it waits for is a place of `maxParallel`. */
      wave: z.boolean().optional(),
    })
    .optional(),
  /** Of a ShellRun's cell: its run has been claimed or settled, so that it is never offered again. */
  taken: z.boolean().optional(),
  /** Mode All: its agent is no target any more; settled, and deleted when no run is active. */
  retired: z.boolean().optional(),
  /** Of a wave's cell, whose active runs are the holders of its places: the agent that took the last one. */
  turn: z.string().optional(),
})
export type Cell = z.infer<typeof cellSchema>

/** Which attempt it is, and of what: alike in what runs and in what has ended. */
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
  /** Start not before this: the scheduled time with its jitter, or the end of a backoff. */
  notBefore: z.number(),
  /** Create revision of the owner's registration; 0 while nobody owns it. */
  session: z.number(),
  /** The launcher instance that was told, or is about to be. */
  instance: z.string(),
  /** onDisconnect Continue: burial spares it until then. */
  buryAfter: z.number().optional(),
  /** The owner is to end it with this reason. */
  kill: z.object({ reason: z.string() }).optional(),
  /** A ShellRun of a job counts in that job's cell too. */
  jobName: z.string().optional(),
  /** It holds a place of its wave. One that waits under nobody has given it back, and takes one again with its next owner. */
  wave: z.boolean().optional(),
})
export type Active = z.infer<typeof activeSchema>

export const resultSchema = z.object({
  ...attempt,
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
  /** No attempt follows: this is the run's outcome. */
  final: z.boolean(),
  /** Several times that ended alike without a process: `time` is the last of them. */
  range: z.object({ first: z.number(), count: z.number() }).optional(),
})
export type Result = z.infer<typeof resultSchema>

/** Why an agent that lives and may claim does not, as far as only it can know. */
export type Trouble = 'RestoredSnapshot' | 'ClockSkewed' | 'EtcdFull' | 'LauncherSilent'

export const registrationSchema = z.object({
  version: z.string(),
  instance: z.string(),
  startedAt: z.number(),
  tzdata: z.string().default(''),
  /** Any word: an agent may be newer than who reads this. What is none says nothing, of an agent that is there all the same. */
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

/** Wakes agents. `run`: claim this ShellRun's target; `offer`: take this time, nobody did; `kill`: end this run. */
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
