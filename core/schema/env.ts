import * as z from 'zod'
import { ruled } from './cel-rule.ts'
import { dataKey, objectName, plainText, variableName } from './values.ts'

/** ShellCron sets these for every command, last. A value from elsewhere would be overwritten silently, so it is refused. */
const OURS = ['SHELLCRON_', 'PARAM_']
export const isReserved = (name: string) => OURS.some(prefix => name.startsWith(prefix))
const celIsOurs = (field: string) => OURS.map(prefix => `${field}.startsWith('${prefix}')`).join(' || ')

const keyRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the same namespace.`),
    key: dataKey.describe(`The key of the ${what} whose value is used.`),
    optional: z
      .boolean()
      .optional()
      .describe(
        `Whether the ${what} or the key may be absent; the variable is then not set. Default: false, and the job is not Ready while it is absent.`,
      ),
  })

const envSource = ruled(
  z.strictObject({
    secretKeyRef: keyRef('Secret')
      .optional()
      .describe(
        'Takes the value from a key of a Secret. Set exactly one of secretKeyRef and configMapKeyRef.',
      ),
    configMapKeyRef: keyRef('ConfigMap')
      .optional()
      .describe(
        'Takes the value from a key of a ConfigMap. Set exactly one of secretKeyRef and configMapKeyRef.',
      ),
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
    name: variableName.describe(
      'Name of the variable: letters, digits and underscores, at most 128 characters. Names that begin with SHELLCRON_ or PARAM_ are refused, because ShellCron sets them.',
    ),
    value: plainText(32_768)
      .optional()
      .describe(
        'Value of the variable: text of at most 32768 characters. Numbers and booleans need quotes in YAML. As in a Pod, $(NAME) becomes the value of a variable of envFrom, or of env before this one; an unknown name stays as it is, and $$ becomes $. Default: empty.',
      ),
    valueFrom: envSource
      .optional()
      .describe(
        'Takes the value from a Secret or a ConfigMap. The value is encrypted for the agents of the pool. Set at most one of value and valueFrom.',
      ),
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
      message: 'must not begin with SHELLCRON_ or PARAM_, which ShellCron sets itself; choose another name',
      path: ['name'],
      holds: ({ name }) => !isReserved(name),
    },
  ],
)
export type EnvVar = z.infer<typeof envVar>

const nameRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the same namespace.`),
    optional: z
      .boolean()
      .optional()
      .describe(
        `Whether the ${what} may be absent. Default: false, and the job is not Ready while it is absent.`,
      ),
  })

export const envFromSource = ruled(
  z.strictObject({
    prefix: variableName
      .optional()
      .describe(
        'Text put before each key: with DB_ the key HOST becomes the variable DB_HOST. Required in host mode. Default: none.',
      ),
    secretRef: nameRef('Secret')
      .optional()
      .describe(
        'Sets a variable for each key of a Secret. Keys that are not valid names of variables are left out. Set exactly one of secretRef and configMapRef.',
      ),
    configMapRef: nameRef('ConfigMap')
      .optional()
      .describe(
        'Sets a variable for each key of a ConfigMap. Keys that are not valid names of variables are left out. Set exactly one of secretRef and configMapRef.',
      ),
  }),
  [
    {
      cel: 'has(self.secretRef) != has(self.configMapRef)',
      message: 'set exactly one of secretRef and configMapRef',
      holds: value => (value.secretRef !== undefined) !== (value.configMapRef !== undefined),
    },
    {
      cel: `!has(self.prefix) || !(${celIsOurs('self.prefix')})`,
      message: 'must not begin with SHELLCRON_ or PARAM_, which ShellCron sets itself; choose another prefix',
      path: ['prefix'],
      holds: ({ prefix }) => prefix === undefined || !isReserved(prefix),
    },
  ],
)
export type EnvFromSource = z.infer<typeof envFromSource>
