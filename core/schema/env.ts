import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { dataKey, objectName, plainText, variableName } from './values.ts'

/** Set by ShellCron for every command, and last: a value from elsewhere would be lost without a word. */
const OURS = ['SHELLCRON_', 'PARAM_']
const isOurs = (name: string) => OURS.some(prefix => name.startsWith(prefix))
const celIsOurs = (field: string) => OURS.map(prefix => `${field}.startsWith('${prefix}')`).join(' || ')

const keyRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the job's namespace.`),
    key: dataKey.describe('Which of its keys.'),
    optional: z
      .boolean()
      .optional()
      .describe(`True: without that ${what} or key the variable is left out. Else the job is not Ready.`),
  })

const envSource = ruled(
  z.strictObject({
    secretKeyRef: keyRef('Secret').optional().describe('A key of a Secret.'),
    configMapKeyRef: keyRef('ConfigMap').optional().describe('A key of a ConfigMap.'),
  }),
  [
    {
      cel: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
      message: 'set exactly one of secretKeyRef and configMapKeyRef',
      holds: value => (value.secretKeyRef !== undefined) !== (value.configMapKeyRef !== undefined),
    },
  ],
)

export const envVar = ruled(
  z.strictObject({
    name: variableName.describe('Name of the variable. SHELLCRON_… and PARAM_… are set by ShellCron itself.'),
    value: plainText(32_768)
      .optional()
      .describe('Its value. It is text: numbers and true need quotes in YAML.'),
    valueFrom: envSource
      .optional()
      .describe('Takes the value from a Secret or a ConfigMap. It is sealed for the agents of the pool.'),
  }),
  [
    {
      cel: '!(has(self.value) && has(self.valueFrom))',
      message: 'set value or valueFrom, not both',
      path: ['valueFrom'],
      holds: value => value.value === undefined || value.valueFrom === undefined,
    },
    {
      cel: `!(${celIsOurs('self.name')})`,
      message: 'begins with SHELLCRON_ or PARAM_, which ShellCron sets itself; choose another name',
      path: ['name'],
      holds: ({ name }) => !isOurs(name),
    },
  ],
)
export type EnvVar = z.infer<typeof envVar>

const nameRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the job's namespace.`),
    optional: z.boolean().optional().describe('True: it may be absent. Else the job is then not Ready.'),
  })

export const envFromSource = ruled(
  z.strictObject({
    prefix: variableName
      .optional()
      .describe('Stands before each key: DB_ makes DB_HOST of HOST. Required in host mode.'),
    secretRef: nameRef('Secret').optional().describe('Every key of a Secret becomes a variable.'),
    configMapRef: nameRef('ConfigMap').optional().describe('Every key of a ConfigMap becomes a variable.'),
  }),
  [
    {
      cel: 'has(self.secretRef) != has(self.configMapRef)',
      message: 'set exactly one of secretRef and configMapRef',
      holds: value => (value.secretRef !== undefined) !== (value.configMapRef !== undefined),
    },
    {
      cel: `!has(self.prefix) || !(${celIsOurs('self.prefix')})`,
      message: 'begins with SHELLCRON_ or PARAM_, which ShellCron sets itself; choose another prefix',
      path: ['prefix'],
      holds: ({ prefix }) => prefix === undefined || !isOurs(prefix),
    },
  ],
)
export type EnvFromSource = z.infer<typeof envFromSource>
