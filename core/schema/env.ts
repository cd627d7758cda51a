import { z } from 'zod'
import { ruled } from './rule.ts'
import { dataKey, objectName, variableName } from './values.ts'

const keyRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the job's namespace.`),
    key: dataKey.describe('Which of its keys.'),
    optional: z.boolean().optional().describe('True: leave the variable out where it does not exist.'),
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
    name: variableName.describe('Name of the variable.'),
    value: z.string().max(32_768).optional().describe('Its value.'),
    valueFrom: envSource.optional().describe('Where its value comes from; it never lies anywhere in clear.'),
  }),
  [
    {
      cel: '!(has(self.value) && has(self.valueFrom))',
      message: 'set value or valueFrom, not both',
      holds: value => value.value === undefined || value.valueFrom === undefined,
    },
  ],
)
export type EnvVar = z.infer<typeof envVar>

const nameRef = (what: string) =>
  z.strictObject({
    name: objectName.describe(`Name of the ${what}, in the job's namespace.`),
    optional: z.boolean().optional().describe('True: it may be absent.'),
  })

export const envFromSource = ruled(
  z.strictObject({
    prefix: variableName.optional().describe('Put before each key. Required in host mode.'),
    secretRef: nameRef('Secret').optional().describe('Every key of a Secret.'),
    configMapRef: nameRef('ConfigMap').optional().describe('Every key of a ConfigMap.'),
  }),
  [
    {
      cel: 'has(self.secretRef) != has(self.configMapRef)',
      message: 'set exactly one of secretRef and configMapRef',
      holds: value => (value.secretRef !== undefined) !== (value.configMapRef !== undefined),
    },
  ],
)
export type EnvFromSource = z.infer<typeof envFromSource>
