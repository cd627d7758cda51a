import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { byName, setOf } from './list-types.ts'
import { template } from './template.ts'
import { parameterName, plainText, seconds } from './values.ts'

const line = z.string().min(1).max(256)

/** No field has a default here: a default inside a list item looks like drift to server-side apply. */
export const parameter = z.strictObject({
  name: parameterName.describe(
    'Name of the parameter: letters, digits and underscores, at most 64 characters. The command gets the value as the environment variable PARAM_<name>.',
  ),
  required: z
    .boolean()
    .optional()
    .describe(
      'Whether a ShellRun must give a value if there is no default. Default: false. A job that is not suspended needs a default for each required parameter, because scheduled runs are given no values.',
    ),
  default: plainText(4_096)
    .optional()
    .describe(
      'The value in scheduled runs, and in ShellRuns that do not give one. Without it the variable is not set. At most 4096 characters.',
    ),
  enum: z
    .array(plainText(256))
    .max(64)
    .optional()
    .describe('The allowed values. Default, or if empty: any value.'),
  pattern: z
    .string()
    .max(256)
    .optional()
    .describe(
      'A regular expression in RE2 syntax, which the whole value must match. RE2 has no lookaround and no back-references. Default, or if empty: any value.',
    ),
  maxLength: z
    .int()
    .min(0)
    .max(4_096)
    .optional()
    .describe('The maximum number of characters of the value. Default: 4096.'),
})
export type Parameter = z.infer<typeof parameter>

const daylightSaving = z.strictObject({
  skipped: z
    .enum(['RunAfter', 'Skip'])
    .default('RunAfter')
    .describe(
      'What happens to a scheduled time that the clock skips when it is put forward. RunAfter (default): the run starts right after the skipped hour. Skip: there is no run.',
    ),
  repeated: z
    .enum(['RunOnce', 'RunTwice'])
    .default('RunOnce')
    .describe(
      'What happens to a scheduled time that occurs twice when the clock is put back. RunOnce (default): the job runs the first time. RunTwice: it runs both times.',
    ),
})

export const jobSpec = ruled(
  z.strictObject({
    schedule: line
      .optional()
      .describe(
        'When the job runs, in cron syntax: "minute hour day-of-month month day-of-week", such as "0 1 * * *", or six fields with seconds first. Also @yearly, @monthly, @weekly, @daily, @hourly and "@every 90s". Day fields know L, LW, L-n, W and #. H is a value derived from namespace and name, to spread load. If both day fields are restricted, the job runs on days that match either. Set exactly one of schedule and schedules.',
      ),
    schedules: setOf(z.array(line).min(1).max(16))
      .optional()
      .describe(
        'Up to 16 schedules, each written as in schedule. The job runs at the times of all of them; a time that several name is one run. Set exactly one of schedule and schedules.',
      ),
    timeZone: z
      .string()
      .min(1)
      .max(64)
      .default('UTC')
      .describe(
        'The time zone of the schedule: an IANA name such as Asia/Shanghai. Offsets such as +08:00 are refused. Default: UTC.',
      ),
    daylightSaving: daylightSaving
      .prefault({})
      .describe(
        'How scheduled times behave when the clock changes. It applies to fixed times of day. Interval schedules such as "*/5 * * * *" follow the wall clock.',
      ),
    jitterSeconds: seconds()
      .default(0)
      .describe(
        'Delays each start, in seconds, to spread load. The delay is less than this value and always the same for one job. Default: 0. Maximum: one year, and less than startingDeadlineSeconds.',
      ),
    startingDeadlineSeconds: seconds(1)
      .optional()
      .describe(
        'How late a run may start, in seconds after its scheduled time. After that the time is recorded as Missed; with concurrencyPolicy Forbid or Replace, a time that still waits for a run to end is recorded as Skipped. Default: no deadline. It must exceed jitterSeconds.',
      ),
    catchUp: z
      .enum(['None', 'Latest', 'All'])
      .default('Latest')
      .describe(
        'Which scheduled times run late, after an outage: those that no agent took within 5 seconds. None: no time. Latest (default): the newest. All: every one, up to catchUpLimit. The others are recorded as Missed.',
      ),
    catchUpLimit: z
      .int()
      .min(0)
      .max(10_000)
      .default(100)
      .describe(
        'With catchUp All, how many times may run late at once: the newest ones. Older ones are recorded as Missed. Default: 100. With 0 no time runs late.',
      ),
    concurrencyPolicy: z
      .enum(['Allow', 'Forbid', 'Replace'])
      .default('Allow')
      .describe(
        'What happens when a time comes due while a run of the job is active on the same target. Allow (default): both run. Forbid: the newest such time waits for the end of the run, until startingDeadlineSeconds; older ones are recorded as Skipped. Replace: the active run is killed first.',
      ),
    suspend: z
      .boolean()
      .default(false)
      .describe(
        'Whether the schedule is suspended. Times during a suspension never run, not even after it. Active runs go on, and a ShellRun can still run the job. Default: false.',
      ),
    successfulRunsHistoryLimit: z
      .int()
      .min(0)
      .max(20)
      .default(3)
      .describe(
        'How many succeeded runs status lists: 0 to 20. Default: 3. The log store keeps all runs, within its retention.',
      ),
    failedRunsHistoryLimit: z
      .int()
      .min(0)
      .max(20)
      .default(3)
      .describe(
        'How many runs that did not succeed status lists: 0 to 20. Default: 3. The log store keeps all runs, within its retention.',
      ),
    parameters: byName(z.array(parameter).max(32))
      .optional()
      .describe(
        'Parameters that a ShellRun of this job may set: at most 32. A ShellRun that gives a parameter which is not listed is refused.',
      ),
    template: template.describe('The command that each scheduled time runs, and where.'),
  }),
  [
    {
      cel: 'has(self.schedule) != has(self.schedules)',
      message: 'set exactly one of schedule and schedules',
      path: ['schedule'],
      holds: value => (value.schedule !== undefined) !== (value.schedules !== undefined),
    },
    {
      cel: '!has(self.startingDeadlineSeconds) || self.jitterSeconds < self.startingDeadlineSeconds',
      message:
        'startingDeadlineSeconds must be more than jitterSeconds, which delays every start; raise it or lower jitterSeconds',
      path: ['startingDeadlineSeconds'],
      holds: ({ startingDeadlineSeconds, jitterSeconds }) =>
        startingDeadlineSeconds === undefined || jitterSeconds < startingDeadlineSeconds,
    },
  ],
)
