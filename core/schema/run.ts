import { z } from 'zod'
import { ruled, unchanging } from './rule.ts'
import { template } from './template.ts'
import { objectName, parameterName, seconds } from './values.ts'

export const runSpec = unchanging(
  ruled(
    z.strictObject({
      jobRef: z
        .strictObject({ name: objectName.describe('Name of the ShellCronJob, in the same namespace.') })
        .optional()
        .describe('Run this job now. Exactly one of jobRef and template.'),
      template: template.optional().describe('Run this. Exactly one of jobRef and template.'),
      parameters: z
        .array(
          z.strictObject({
            name: parameterName.describe('A parameter that the job declares.'),
            value: z.string().max(4_096).describe('Its value.'),
          }),
        )
        .max(32)
        .optional()
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
        .describe('Values of parameters that the job declares.'),
      targets: z
        .array(objectName)
        .max(256)
        .optional()
        .meta({ 'x-kubernetes-list-type': 'set' })
        .describe('With jobRef: only on these targets, as in a rerun of those that failed.'),
      concurrencyPolicy: z
        .enum(['Allow', 'Forbid', 'Replace'])
        .optional()
        .describe("How it minds runs of the job that are active. Default: the job's."),
      ttlSecondsAfterFinished: seconds()
        .optional()
        .describe(
          'Delete the object so long after its end. Ignored where Argo CD or Flux owns it: it would be made and run again.',
        ),
    }),
    [
      {
        cel: 'has(self.jobRef) != has(self.template)',
        message: 'set exactly one of jobRef and template',
        path: ['jobRef'],
        holds: value => (value.jobRef !== undefined) !== (value.template !== undefined),
      },
      {
        cel: '!has(self.template) || (!has(self.parameters) && !has(self.targets))',
        message: 'parameters and targets belong to jobRef, an inline template has none',
        path: ['parameters'],
        holds: value => !value.template || (value.parameters === undefined && value.targets === undefined),
      },
    ],
  ),
  'spec of a ShellRun cannot be changed: make another ShellRun',
)
