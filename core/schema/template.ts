import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { envFromSource, envVar } from './env.ts'
import { byName, setOf } from './list-types.ts'
import { container, host, target } from './target.ts'
import { absolutePath, labels, plainText, quantity, seconds } from './values.ts'

const templateSpec = ruled(
  z.strictObject({
    target: target.prefault({}).describe('On which agents it runs. Default: on one of the pool default.'),
    host: host
      .optional()
      .describe(
        "Runs the command on the machine itself, in the host's namespaces. Write {} for the defaults. Exactly one of host and container.",
      ),
    container: container
      .optional()
      .describe(
        'Runs the command inside a container that is running, with its user and its limits. Exactly one of host and container.',
      ),
    shell: z
      .array(plainText(256, 1))
      .min(1)
      .max(8)
      .default(['/bin/sh', '-c'])
      .describe('The program, with its arguments, that gets the script as its last argument.'),
    script: plainText(65_536, 1).describe(
      'The commands. Parameters reach them as variables PARAM_<NAME>, never in their text. They also get SHELLCRON_RUN_ID, _JOB, _NAMESPACE, _SCHEDULED_TIME, _ATTEMPT, _AGENT, _SHARD_INDEX, _SHARD_COUNT and TRACEPARENT.',
    ),
    env: byName(z.array(envVar).max(128)).optional().describe('Environment variables of the command.'),
    envFrom: z
      .array(envFromSource)
      .max(16)
      .optional()
      .describe('Environment variables from whole Secrets and ConfigMaps. env goes before it.'),
    workingDir: absolutePath
      .default('/')
      .describe('The directory that the command starts in: an absolute path.'),
    tty: z
      .boolean()
      .default(false)
      .describe(
        'True: with a pseudo-terminal, for programs that ask for one. stdout and stderr are then one.',
      ),
    successExitCodes: setOf(z.array(z.int().min(0).max(255)).min(1).max(64))
      .default([0])
      .describe('Exit codes that mean success.'),
    activeDeadlineSeconds: seconds(1)
      .optional()
      .describe(
        'The longest that an attempt may take. Then its processes get SIGTERM, and SIGKILL after the grace period; the outcome is TimedOut. Default: no limit.',
      ),
    terminationGracePeriodSeconds: seconds()
      .default(10)
      .describe('Seconds between SIGTERM and SIGKILL, when a run is ended.'),
    onDisconnect: z
      .enum(['Stop', 'Continue'])
      .default('Stop')
      .describe(
        'What becomes of a run whose agent is cut off for too long. Stop: it is ended, so that nothing runs twice. Continue: it goes on; this needs activeDeadlineSeconds and backoffLimit 0.',
      ),
    backoffLimit: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe(
        'How often a run that failed, timed out or was lost is tried again, after 10 s, 20 s and so on up to 6 min. 0: at most one attempt. More: at least one, until success or this limit.',
      ),
    outputLimit: quantity('0', '1Ti')
      .default('10Mi')
      .describe('How much output is kept, in bytes, such as 10Mi. More is cut, and the cut is recorded.'),
  }),
  [
    {
      cel: 'has(self.host) != has(self.container)',
      message: 'set exactly one of host and container',
      path: ['host'],
      holds: value => (value.host !== undefined) !== (value.container !== undefined),
    },
    {
      cel: '!has(self.host) || !has(self.envFrom) || self.envFrom.all(e, has(e.prefix))',
      message:
        'envFrom needs a prefix in host mode: who edits a ConfigMap must not choose the names of variables',
      path: ['envFrom'],
      holds: value => !value.host || (value.envFrom ?? []).every(({ prefix }) => prefix !== undefined),
    },
    {
      cel: "self.onDisconnect != 'Continue' || (self.backoffLimit == 0 && has(self.activeDeadlineSeconds))",
      message: 'onDisconnect Continue needs backoffLimit 0 and activeDeadlineSeconds',
      path: ['onDisconnect'],
      holds: ({ onDisconnect, backoffLimit, activeDeadlineSeconds }) =>
        onDisconnect !== 'Continue' || (backoffLimit === 0 && activeDeadlineSeconds !== undefined),
    },
  ],
)
export type TemplateSpec = z.infer<typeof templateSpec>

export const template = z.strictObject({
  metadata: z
    .strictObject({
      labels: labels.optional().describe('Go with each run: to its metrics, its alerts and the log store.'),
    })
    .optional()
    .describe('Of the runs that are made from this.'),
  spec: templateSpec.describe('What is run, where, and as whom.'),
})
export type Template = z.infer<typeof template>
