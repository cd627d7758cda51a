import * as z from 'zod'
import { ruled, unchanging } from './cel-rule.ts'
import { byName, setOf } from './list-types.ts'
import { template } from './template.ts'
import { objectName, parameterName, plainText, seconds } from './values.ts'

export const runSpec = unchanging(
  ruled(
    z.strictObject({
      jobRef: z
        .strictObject({ name: objectName.describe('Name of the ShellCronJob, in the same namespace.') })
        .optional()
        .describe('Runs this job now, also if it is suspended. Exactly one of jobRef and template.'),
      template: template
        .optional()
        .describe('Runs this, which belongs to no job. Exactly one of jobRef and template.'),
      parameters: byName(
        z
          .array(
            z.strictObject({
              name: parameterName.describe('A parameter that the job declares.'),
              value: plainText(4_096).describe('Its value for this run.'),
            }),
          )
          .max(32),
      )
        .optional()
        .describe('With jobRef: values of parameters that the job declares. Others have their defaults.'),
      targets: setOf(z.array(objectName).max(256))
        .optional()
        .describe(
          'With jobRef: only these targets of the job, as in a rerun of those that failed: names of agents in mode All, indexes in mode Shards.',
        ),
      concurrencyPolicy: z
        .enum(['Allow', 'Forbid', 'Replace'])
        .optional()
        .describe(
          "With jobRef: what happens while a run of the job is active. Forbid waits for its end, at most 10 minutes. Default: the job's.",
        ),
      ttlSecondsAfterFinished: seconds()
        .optional()
        .describe(
          'The object is deleted so long after its end. Default: it stays. Ignored where Argo CD or Flux owns the object, as they would make it, and run it, again.',
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
        cel: '!has(self.template) || !has(self.parameters)',
        message: 'parameters belong to jobRef; an inline template has none: use env',
        path: ['parameters'],
        holds: value => !value.template || value.parameters === undefined,
      },
      {
        cel: '!has(self.template) || !has(self.targets)',
        message: 'targets belong to jobRef; an inline template says where it runs: use template.spec.target',
        path: ['targets'],
        holds: value => !value.template || value.targets === undefined,
      },
    ],
  ),
  'spec of a ShellRun cannot be changed: make another ShellRun',
)
