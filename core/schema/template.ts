import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { envFromSource, envVar } from './env.ts'
import { byName, setOf } from './list-types.ts'
import { container, host, target } from './target.ts'
import { absolutePath, labels, plainText, quantity, seconds } from './values.ts'

const templateSpec = ruled(
  z.strictObject({
    target: target
      .prefault({})
      .describe('On which agents the command runs. Default: on one agent of pool default.'),
    host: host
      .optional()
      .describe(
        "Runs the command on the machine, in the host's namespaces. Write {} for the defaults. Set exactly one of host and container.",
      ),
    container: container
      .optional()
      .describe(
        'Runs the command inside a running container, with the user and the limits of that container. Set exactly one of host and container.',
      ),
    shell: z
      .array(plainText(256, 1))
      .min(1)
      .max(8)
      .optional()
      .describe(
        'The program that runs the script, with its arguments. The script is added as the last argument. Default: the interpreter that the first line of the script names, such as #!/usr/bin/env python3, else ["/bin/sh", "-c"].',
      ),
    script: plainText(65_536, 1).describe(
      'The commands to run: at most 65536 characters and 131071 bytes. Parameters are passed as environment variables PARAM_<NAME>, never inserted into this text. ShellCron also sets SHELLCRON_RUN_ID, _JOB, _NAMESPACE, _SCHEDULED_TIME, _ATTEMPT, _AGENT, _SHARD_INDEX, _SHARD_COUNT and TRACEPARENT.',
    ),
    env: byName(z.array(envVar).max(128))
      .optional()
      .describe(
        'Environment variables of the command: at most 128. They take precedence over envFrom. With the script they may have at most 524288 bytes.',
      ),
    envFrom: z
      .array(envFromSource)
      .max(16)
      .optional()
      .describe(
        'Environment variables from all keys of Secrets and ConfigMaps: at most 16 sources. If several define a variable, the last one counts; env takes precedence over all.',
      ),
    workingDir: absolutePath
      .default('/')
      .describe(
        'The directory in which the command starts: an absolute path. Default: /. If it does not exist, the run fails.',
      ),
    tty: z
      .boolean()
      .default(false)
      .describe(
        'Whether the command gets a pseudo-terminal. stdout and stderr are then one stream. Default: false.',
      ),
    leftovers: z
      .enum(['Kill', 'Leave'])
      .default('Kill')
      .describe(
        'What happens to processes that outlive the script. Kill (default): they get SIGTERM, then SIGKILL after terminationGracePeriodSeconds; the run ends when they have ended, and its message says how many and which. Leave: they go on outside the run and its limits; no deadline, kill or fence ends them.',
      ),
    successExitCodes: setOf(z.array(z.int().min(0).max(255)).min(1).max(64))
      .default([0])
      .describe(
        'Exit codes that count as success: 1 to 64 values from 0 to 255. Default: [0]. Any other code is Failed.',
      ),
    activeDeadlineSeconds: seconds(1)
      .optional()
      .describe(
        'How long an attempt may run, in seconds. After that its processes get SIGTERM, then SIGKILL after terminationGracePeriodSeconds; the outcome is TimedOut. Default: no limit. Maximum: one year.',
      ),
    terminationGracePeriodSeconds: seconds()
      .default(10)
      .describe(
        'Seconds between SIGTERM and SIGKILL when a run is killed or exceeds its deadline. Default: 10. With 0 the processes get SIGKILL at once. A run whose agent is cut off from etcd gets no grace period.',
      ),
    onDisconnect: z
      .enum(['Stop', 'Continue'])
      .default('Stop')
      .describe(
        'What happens to a run whose agent is cut off from etcd for 70 % of sessionTTLSeconds of its pool. Stop (default): it is killed and recorded as Lost, so that no retry overlaps with it. Continue: it goes on; this requires activeDeadlineSeconds and backoffLimit 0.',
      ),
    backoffLimit: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe(
        'How many times a run that ended as Failed, TimedOut or Lost is retried, after 10 s, 20 s, 40 s and so on, up to 6 minutes. Default: 0, so the command runs at most once. With a higher value it runs at least once, until it succeeds or the limit is reached. Maximum: 100.',
      ),
    outputLimit: quantity('0', '1Ti')
      .default('10Mi')
      .describe(
        'How much output of an attempt is kept, stdout and stderr together, in bytes: a number or a quantity such as 10Mi. Output beyond it is cut; the output and the result say so. Default: 10Mi. With 0 no output is kept. Maximum: 1Ti.',
      ),
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
        'envFrom needs a prefix in host mode, so that an editor of the ConfigMap cannot set LD_PRELOAD and the like; set prefix on each item',
      path: ['envFrom'],
      holds: value => !value.host || (value.envFrom ?? []).every(({ prefix }) => prefix !== undefined),
    },
    {
      cel: "self.onDisconnect != 'Continue' || (self.backoffLimit == 0 && has(self.activeDeadlineSeconds))",
      message: 'onDisconnect Continue needs backoffLimit 0 and activeDeadlineSeconds; set both, or use Stop',
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
      labels: labels
        .optional()
        .describe(
          'Labels of the runs: at most 64. They are meant for metrics, alerts and the log store; nothing uses them yet.',
        ),
    })
    .optional()
    .describe('Metadata of the runs of this template.'),
  spec: templateSpec.describe('The command, its environment, where it runs and as which user.'),
})
export type Template = z.infer<typeof template>
