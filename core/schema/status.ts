import * as z from 'zod'

/** What ShellCron says of an object. Never read back by the operator: what happened lies in the log store. ≤ 16 KiB in all. */

const time = z.string().max(35).meta({ format: 'date-time' })
const text = (most: number) => z.string().max(most)

export const condition = z.strictObject({
  type: text(316).describe('What it is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Does it hold?'),
  observedGeneration: z.int().min(0).optional().describe('The generation of spec that this was said of.'),
  lastTransitionTime: time.describe('When its status last changed.'),
  reason: text(1_024).describe('One word.'),
  message: text(32_768).describe(
    'One sentence, which names the field and the remedy where something is wrong.',
  ),
})
export type Condition = z.infer<typeof condition>

const conditions = z
  .array(condition)
  .max(16)
  .optional()
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('Ready, Reconciling, Stalled; and LastRunSucceeded of a job, Complete and Failed of a run.')

const targetCounts = z
  .strictObject({
    succeeded: z.int().optional().describe('Targets on which it succeeded.'),
    failed: z.int().optional().describe('Targets on which it ended otherwise.'),
    missed: z.int().optional().describe('Targets on which it did not run.'),
  })
  .optional()

export const finishedRun = z.strictObject({
  id: text(600).describe('The id of the run, without a target.'),
  scheduledTime: time.optional().describe('The time that it was due.'),
  startTime: time.optional().describe('When its first process started.'),
  completionTime: time.optional().describe('When its last target ended.'),
  outcome: text(32).describe('Succeeded, Failed, TimedOut, Killed, Lost, Cancelled, Skipped or Missed.'),
  exitCode: z.int().optional().describe('Of the command.'),
  reason: text(256).optional().describe('Why it ended so, in one word.'),
  targets: targetCounts.describe('With more than one target: how they ended.'),
  failedTargets: z
    .array(text(253))
    .max(10)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('The first of those that failed.'),
})
export type FinishedRun = z.infer<typeof finishedRun>

const runs = z
  .array(finishedRun)
  .max(40)
  .optional()
  .meta({ 'x-kubernetes-list-type': 'atomic' })
  .describe('Finished runs, newest first, by the history limits.')

const outputTail = text(1_024).optional().describe('The last output of the last failure.')
const observedGeneration = z.int().optional().describe('The generation of spec that this status is about.')

export const jobStatus = z.strictObject({
  observedGeneration,
  schedule: text(512).optional().describe('The schedule, also where there are several.'),
  conditions,
  active: z
    .array(
      z.strictObject({
        id: text(600).describe('The id of the run.'),
        startTime: time.optional().describe('When it started, or will: a retry waits for its backoff.'),
        targets: z.int().optional().describe('On how many targets.'),
      }),
    )
    .max(10)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Runs that go on.'),
  activeCount: z.int().optional().describe('How many go on.'),
  lastResult: text(32).optional().describe('How the last run ended.'),
  target: text(128).optional().describe('Where it runs.'),
  command: text(80).optional().describe('The first line of the script.'),
  lastScheduleTime: time.optional().describe('The last time that was due, nominally.'),
  lastSuccessfulTime: time.optional().describe('When a run last succeeded.'),
  lastFailureTime: time.optional().describe('When a run last ended otherwise.'),
  nextScheduleTime: text(35).optional().describe('The next time.'),
  nextScheduleTimes: z
    .array(text(35))
    .max(5)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('The next five.'),
  targets: z
    .strictObject({
      matched: z.int().describe('Agents that it selects.'),
      ready: z.int().describe('Of these, alive.'),
    })
    .optional()
    .describe('Where it can run.'),
  runs,
  outputTail,
})
export type JobStatus = z.infer<typeof jobStatus>

export const runStatus = z.strictObject({
  observedGeneration,
  conditions,
  phase: text(32).optional().describe('Pending, Running, or the outcome.'),
  exitCode: z.int().optional().describe('Of the command.'),
  target: text(128).optional().describe('Where it runs.'),
  startTime: time.optional().describe('When it started.'),
  completionTime: time.optional().describe('When it ended.'),
  runs,
  outputTail,
})
export type RunStatus = z.infer<typeof runStatus>

export const agentStatus = z.strictObject({
  observedGeneration,
  conditions,
  session: text(32).optional().describe('Its session.'),
  version: text(64).optional().describe('Its version of ShellCron.'),
  running: z.int().optional().describe('Runs that it has, as of the last minute.'),
})
export type AgentStatus = z.infer<typeof agentStatus>

export const plainStatus = z.strictObject({ observedGeneration, conditions })
