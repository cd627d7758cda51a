import { z } from 'zod'
import { ruled } from './rule.ts'
import { template } from './template.ts'
import { parameterName, seconds } from './values.ts'

const line = z.string().min(1).max(256)

/** Not defaulted: nothing inside a list item is, as server-side apply would see it drift. */
export const parameter = z.strictObject({
  name: parameterName.describe('The command gets it as PARAM_<name>.'),
  required: z
    .boolean()
    .optional()
    .describe('True: a ShellRun must give it; scheduled runs then need a default.'),
  default: z.string().max(4_096).optional().describe('Its value where nobody gives one.'),
  enum: z.array(z.string().max(256)).max(64).optional().describe('The values that are allowed.'),
  pattern: z.string().max(256).optional().describe('A regular expression that the whole value must match.'),
  maxLength: z.int().min(0).max(4_096).optional().describe('Most characters of the value.'),
})
export type Parameter = z.infer<typeof parameter>

const daylightSaving = z.strictObject({
  skipped: z
    .enum(['RunAfter', 'Skip'])
    .default('RunAfter')
    .describe('A time that the clock skips: run right after the gap, or not.'),
  repeated: z.enum(['RunOnce', 'RunTwice']).default('RunOnce').describe('A time that the clock repeats.'),
})

export const jobSpec = ruled(
  z.strictObject({
    schedule: line
      .optional()
      .describe(
        'When it runs: a cron line of 5 fields, or 6 with seconds first; @hourly and the like; @every 90s; L, LW, L-n, W, #; H for a stable hash. One of schedule and schedules.',
      ),
    schedules: z
      .array(line)
      .min(1)
      .max(16)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Several cron lines: it runs when any of them says so.'),
    timeZone: z.string().min(1).max(64).default('UTC').describe('An IANA name such as Asia/Shanghai.'),
    daylightSaving: daylightSaving
      .prefault({})
      .describe('What becomes of times that the clock skips or repeats.'),
    jitterSeconds: seconds()
      .default(0)
      .describe('Delays each start by up to this, always by the same for one job.'),
    startingDeadlineSeconds: seconds(1)
      .optional()
      .describe('A time that could not start within it is recorded as Missed. Default: none.'),
    catchUp: z
      .enum(['None', 'Latest', 'All'])
      .default('Latest')
      .describe('What is made up for after an outage: nothing, the latest time, or all of them.'),
    catchUpLimit: z
      .int()
      .min(0)
      .max(10_000)
      .default(100)
      .describe('With catchUp All: at most so many, the newest.'),
    concurrencyPolicy: z
      .enum(['Allow', 'Forbid', 'Replace'])
      .default('Allow')
      .describe(
        'A time that comes due while a run is active: starts beside it, waits for its end, or replaces it.',
      ),
    suspend: z.boolean().default(false).describe('True: no times come due.'),
    successfulRunsHistoryLimit: z.int().min(0).max(20).default(3).describe('Succeeded runs kept in status.'),
    failedRunsHistoryLimit: z.int().min(0).max(20).default(3).describe('Other runs kept in status.'),
    parameters: z
      .array(parameter)
      .max(32)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('What a ShellRun of this job may set.'),
    template: template.describe('What is run.'),
  }),
  [
    {
      cel: 'has(self.schedule) != has(self.schedules)',
      message: 'set exactly one of schedule and schedules',
      path: ['schedule'],
      holds: value => (value.schedule !== undefined) !== (value.schedules !== undefined),
    },
  ],
)
