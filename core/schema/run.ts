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
        .describe(
          'Runs this job once, now, even if it is suspended. Set exactly one of jobRef and template.',
        ),
      template: template
        .optional()
        .describe('Runs this command once, now, without a job. Set exactly one of jobRef and template.'),
      parameters: byName(
        z
          .array(
            z.strictObject({
              name: parameterName.describe('Name of a parameter that the job declares.'),
              value: plainText(4_096).describe('Value for this run: at most 4096 characters.'),
            }),
          )
          .max(32),
      )
        .optional()
        .describe(
          'With jobRef: values of parameters that the job declares. Default: the defaults of the job.',
        ),
      targets: setOf(z.array(objectName).max(256))
        .optional()
        .describe(
          'With jobRef: runs only on these targets of the job, as in a rerun of failed ones: names of agents in mode All, indexes in mode Shards. Default: all targets of the job.',
        ),
      concurrencyPolicy: z
        .enum(['Allow', 'Forbid', 'Replace'])
        .optional()
        .describe(
          "With jobRef: what happens while a run of the job is active on the same target. Allow: both run. Forbid: this one waits for its end, at most 10 minutes from its creation, then it is recorded as Missed. Replace: the active run is killed first. Default: the job's concurrencyPolicy.",
        ),
      ttlSecondsAfterFinished: seconds()
        .optional()
        .describe(
          'Deletes the object this many seconds after it has ended. Default: it is kept. Ignored, with an Event, on objects that Argo CD or Flux owns, because they would create it again and so run it again.',
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
        message: 'parameters need jobRef; with an inline template use env',
        path: ['parameters'],
        holds: value => !value.template || value.parameters === undefined,
      },
      {
        cel: '!has(self.template) || !has(self.targets)',
        message: 'targets need jobRef; with an inline template use template.spec.target',
        path: ['targets'],
        holds: value => !value.template || value.targets === undefined,
      },
    ],
  ),
  'spec of a ShellRun cannot be changed; create another ShellRun',
)
