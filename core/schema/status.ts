import * as z from 'zod'

/** What ShellCron reports about an object, at most 16 KiB. The operator never reads it back: the log store keeps what happened. */

const time = z.string().max(35).meta({ format: 'date-time' })
const text = (most: number) => z.string().max(most)

export const condition = z.strictObject({
  type: text(316).describe('Type of the condition, such as Ready.'),
  status: z
    .enum(['True', 'False', 'Unknown'])
    .describe('Whether the condition holds: True, False or Unknown.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('The generation of the object that the condition describes.'),
  lastTransitionTime: time.describe('When the status of the condition last changed.'),
  reason: text(1_024).describe('Reason for the status, in one word.'),
  message: text(32_768).describe(
    'Message for people. If something is wrong it names the field and the remedy.',
  ),
})
export type Condition = z.infer<typeof condition>

const conditions = z
  .array(condition)
  .max(16)
  .optional()
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe(
    'Conditions: Ready, Reconciling and Stalled; of a job also HasTargets and LastRunSucceeded; of a run also Complete and Failed.',
  )

const targetCounts = z
  .strictObject({
    succeeded: z.int().optional().describe('Number of targets on which the run succeeded.'),
    failed: z.int().optional().describe('Number of targets on which the run did not succeed.'),
    missed: z.int().optional().describe('Number of targets on which the run did not start.'),
  })
  .optional()

export const finishedRun = z.strictObject({
  id: text(600).describe('Id of the run, without its target.'),
  scheduledTime: time.optional().describe('When the run was due.'),
  startTime: time
    .optional()
    .describe('When the first process of the run started. Absent if it never started.'),
  completionTime: time.optional().describe('When the run ended on its last target.'),
  outcome: text(32).describe('Succeeded, Failed, TimedOut, Killed, Lost, Cancelled, Skipped or Missed.'),
  exitCode: z.int().optional().describe('Exit code of the command. Absent if it did not exit by itself.'),
  reason: text(256).optional().describe('Reason for the outcome, in one word.'),
  targets: targetCounts.describe('With several targets: on how many the run ended how.'),
  failedTargets: z
    .array(text(253))
    .max(10)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Names of up to 10 targets on which the run did not succeed.'),
})
export type FinishedRun = z.infer<typeof finishedRun>

const runs = z
  .array(finishedRun)
  .max(40)
  .optional()
  .meta({ 'x-kubernetes-list-type': 'atomic' })
  .describe(
    'Finished runs, the newest first, within the history limits. The oldest are dropped if status would exceed 16 KiB.',
  )

const outputTail = text(1_024)
  .optional()
  .describe('The end of the output of the last failed run: at most 1 KiB, with the values of Secrets masked.')
const observedGeneration = z
  .int()
  .optional()
  .describe('The generation of the object that this status describes. -1: not observed yet.')

export const jobStatus = z.strictObject({
  observedGeneration,
  schedule: text(512).optional().describe('The schedule; several schedules are joined.'),
  conditions,
  active: z
    .array(
      z.strictObject({
        id: text(600).describe('Id of the run, without its target.'),
        startTime: time
          .optional()
          .describe('When the run started, or will start: a retry waits for its backoff.'),
        targets: z.int().optional().describe('Number of targets on which the run is active.'),
      }),
    )
    .max(10)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Active runs: at most 10. activeCount says how many there are.'),
  activeCount: z.int().optional().describe('Number of active runs.'),
  lastResult: text(32).optional().describe('Outcome of the last finished run.'),
  target: text(128).optional().describe('Where the command runs: mode, pool and selectors.'),
  command: text(80).optional().describe('First line of the script, at most 80 characters.'),
  lastScheduleTime: time.optional().describe('The last scheduled time that came due, without jitter.'),
  lastSuccessfulTime: time.optional().describe('When a run last ended with success.'),
  lastFailureTime: time.optional().describe('When a run last ended without success.'),
  nextScheduleTime: text(35)
    .optional()
    .describe('The next scheduled time, without jitter. Absent while the job is suspended.'),
  nextScheduleTimes: z
    .array(text(35))
    .max(5)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('The next five scheduled times.'),
  targets: z
    .strictObject({
      matched: z.int().describe('Number of agents that the target selects.'),
      ready: z.int().describe('Number of selected agents that are alive.'),
      summary: text(32).optional().describe('Both numbers: ready/matched.'),
    })
    .optional()
    .describe('How many agents can run the job.'),
  runs,
  outputTail,
})
export type JobStatus = z.infer<typeof jobStatus>

export const runStatus = z.strictObject({
  observedGeneration,
  conditions,
  phase: text(32).optional().describe('Pending, Running, or the outcome of the run.'),
  exitCode: z.int().optional().describe('Exit code of the command. Absent if it did not exit by itself.'),
  target: text(128).optional().describe('Where the command runs: mode, pool and selectors.'),
  startTime: time.optional().describe('When the first process of the run started.'),
  completionTime: time.optional().describe('When the run ended on its last target.'),
  runs,
  outputTail,
})
export type RunStatus = z.infer<typeof runStatus>

export const agentStatus = z.strictObject({
  observedGeneration,
  conditions,
  session: text(32)
    .optional()
    .describe(
      'Id of the session of the agent: one life of its lease in etcd. Absent if the agent is not alive.',
    ),
  version: text(64).optional().describe('Version of ShellCron that the agent runs.'),
  running: z.int().optional().describe('Number of runs of the agent. Updated at most once a minute.'),
})
export type AgentStatus = z.infer<typeof agentStatus>

export const plainStatus = z.strictObject({ observedGeneration, conditions })
