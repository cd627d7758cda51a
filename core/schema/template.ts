import { z } from 'zod'
import { envFromSource, envVar } from './env.ts'
import { ruled } from './rule.ts'
import { container, host, target } from './target.ts'
import { labels, quantity, seconds } from './values.ts'

const SHELL = ['/bin/sh', '-c']

const templateSpec = ruled(
  z.strictObject({
    target: target.prefault({}).describe('Where it runs.'),
    host: host
      .optional()
      .describe("Run it in the machine's own namespaces. Exactly one of host and container."),
    container: container
      .optional()
      .describe('Run it inside a running container. Exactly one of host and container.'),
    shell: z
      .array(z.string().min(1).max(256))
      .min(1)
      .max(8)
      .default(SHELL)
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('The program that gets the script as its last argument.'),
    script: z
      .string()
      .min(1)
      .max(65_536)
      .describe('What is run. Parameters reach it as PARAM_<NAME>, never in its text.'),
    env: z
      .array(envVar)
      .max(128)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('Environment variables.'),
    envFrom: z
      .array(envFromSource)
      .max(16)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Environment variables from whole Secrets and ConfigMaps.'),
    workingDir: z.string().min(1).max(4_096).regex(/^\//).default('/').describe('An absolute path.'),
    tty: z.boolean().default(false).describe('True: with a pseudo-terminal.'),
    successExitCodes: z
      .array(z.int().min(0).max(255))
      .min(1)
      .max(64)
      .default([0])
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Exit codes that mean success.'),
    activeDeadlineSeconds: seconds(1)
      .optional()
      .describe(
        'A run that takes longer is ended: SIGTERM to its whole tree, SIGKILL after the grace period.',
      ),
    terminationGracePeriodSeconds: seconds().default(10).describe('Between SIGTERM and SIGKILL.'),
    onDisconnect: z
      .enum(['Stop', 'Continue'])
      .default('Stop')
      .describe(
        'Stop: a run ends when its agent has been cut off from etcd for too long, so that it can be lost but never doubled.',
      ),
    backoffLimit: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('How often a failed run is tried again. 0: a scheduled time runs at most once.'),
    outputLimit: quantity.default('10Mi').describe('Output beyond it is cut, and the cut is recorded.'),
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
      labels: labels.optional().describe('Carried to runs, metrics, alerts and the log store.'),
    })
    .optional()
    .describe('Of the runs that are made from this.'),
  spec: templateSpec.describe('What is run, where, and as whom.'),
})
export type Template = z.infer<typeof template>
