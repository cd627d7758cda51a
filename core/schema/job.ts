import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { byName, setOf } from './list-types.ts'
import { template } from './template.ts'
import { parameterName, plainText, seconds } from './values.ts'

const line = z.string().min(1).max(256)

/** Not defaulted: nothing inside a list item is, as server-side apply would see it drift. */
export const parameter = z.strictObject({
  name: parameterName.describe('Its name. The command gets its value as variable PARAM_<name>.'),
  required: z
    .boolean()
    .optional()
    .describe('True: a ShellRun must give it, if it has no default. Scheduled runs need the default.'),
  default: plainText(4_096)
    .optional()
    .describe('Its value in scheduled runs, and where a ShellRun gives none.'),
  enum: z.array(plainText(256)).max(64).optional().describe('The only values that are allowed.'),
  pattern: z
    .string()
    .max(256)
    .optional()
    .describe('A regular expression in RE2 syntax that the whole value must match.'),
  maxLength: z.int().min(0).max(4_096).optional().describe('The most characters that its value may have.'),
})
export type Parameter = z.infer<typeof parameter>

const daylightSaving = z.strictObject({
  skipped: z
    .enum(['RunAfter', 'Skip'])
    .default('RunAfter')
    .describe('A time that the clock jumps over. RunAfter: it runs right after the jump. Skip: not at all.'),
  repeated: z
    .enum(['RunOnce', 'RunTwice'])
    .default('RunOnce')
    .describe(
      'A time that comes twice as the clock is put back. RunOnce: the first time. RunTwice: both times.',
    ),
})

export const jobSpec = ruled(
  z.strictObject({
    schedule: line
      .optional()
      .describe(
        'When it runs: "minute hour day-of-month month day-of-week", such as 0 1 * * *, or six fields with seconds first; also @hourly, @daily and the like, and @every 90s. Understands L, LW, L-n, W and #; H is a number that stays the same for this job. Exactly one of schedule and schedules.',
      ),
    schedules: setOf(z.array(line).min(1).max(16))
      .optional()
      .describe('Several lines as in schedule: it runs when any of them says so, once if several do.'),
    timeZone: z
      .string()
      .min(1)
      .max(64)
      .default('UTC')
      .describe('The zone of the schedule: an IANA name such as Asia/Shanghai.'),
    daylightSaving: daylightSaving
      .prefault({})
      .describe(
        'What becomes of times that a change of the clock skips or repeats. Lines for intervals, such as */5 * * * *, just follow the clock.',
      ),
    jitterSeconds: seconds()
      .default(0)
      .describe('Starts are delayed by less than this, always by the same for one job, to spread the load.'),
    startingDeadlineSeconds: seconds(1)
      .optional()
      .describe(
        'A time that could not start so many seconds after it was due is Missed. Default: no deadline.',
      ),
    catchUp: z
      .enum(['None', 'Latest', 'All'])
      .default('Latest')
      .describe(
        'What is run late after an outage. None: nothing. Latest: the last time that was due. All: every one, up to catchUpLimit. The others are recorded as Missed.',
      ),
    catchUpLimit: z
      .int()
      .min(0)
      .max(10_000)
      .default(100)
      .describe('With catchUp All: at most so many times are caught up, the newest ones.'),
    concurrencyPolicy: z
      .enum(['Allow', 'Forbid', 'Replace'])
      .default('Allow')
      .describe(
        'When a time comes due while a run is still active. Allow: they run side by side. Forbid: the newest such time starts when the run has ended, within startingDeadlineSeconds; older ones are Skipped. Replace: the active run is ended for it.',
      ),
    suspend: z
      .boolean()
      .default(false)
      .describe('True: no times come due until it is false again. A ShellRun can still run the job.'),
    successfulRunsHistoryLimit: z
      .int()
      .min(0)
      .max(20)
      .default(3)
      .describe('How many runs that succeeded stay in status. The log store keeps all.'),
    failedRunsHistoryLimit: z
      .int()
      .min(0)
      .max(20)
      .default(3)
      .describe('How many runs that ended otherwise stay in status. The log store keeps all.'),
    parameters: byName(z.array(parameter).max(32))
      .optional()
      .describe('Values that a ShellRun of this job may set. Others are refused.'),
    template: template.describe('What each scheduled time runs.'),
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
      message: 'startingDeadlineSeconds must be more than jitterSeconds, which delays every start',
      path: ['startingDeadlineSeconds'],
      holds: ({ startingDeadlineSeconds, jitterSeconds }) =>
        startingDeadlineSeconds === undefined || jitterSeconds < startingDeadlineSeconds,
    },
  ],
)
