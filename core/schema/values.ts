import * as z from 'zod'
import { ruled } from './cel-rule.ts'

/** Kinds of values that several objects share. Every string and list has a maximum: CEL's cost is estimated by them. */

const SECONDS_MAX = 31_536_000

/** Whole seconds up to a year. */
export const seconds = (minimum = 0) => z.int().min(minimum).max(SECONDS_MAX)

/** The system ends strings at a NUL: no process can be given one. In words that Go's regular expressions know too. */
const NO_NUL = '[^\\x00]*'

/** Text for a process. Its length is counted in characters, as API servers count, not in the halves that JavaScript makes of some. */
export const plainText = (most: number, least = 0) =>
  z
    .string()
    .min(least)
    .regex(new RegExp(`^${NO_NUL}$`), 'must not hold a NUL character')
    .superRefine((input, context) => {
      if (input.length > most && Array.from(input).length > most)
        context.addIssue({ code: 'too_big', origin: 'string', maximum: most, inclusive: true, input })
    })
    .meta({ maxLength: most })

export const absolutePath = z
  .string()
  .min(1)
  .max(4_096)
  .regex(new RegExp(`^(/|[A-Za-z]:[/\\\\])${NO_NUL}$`), 'must be an absolute path')

const OBJECT_NAME = 'must be a name in lower case: letters, digits, dashes and dots'
const IDENTIFIER = 'must be letters, digits and underscores, not beginning with a digit'

/** The name of an object in the same namespace, or of an agent. */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, OBJECT_NAME)
export const poolName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a name in lower case: letters, digits and dashes')
export const dataKey = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/, 'must be letters, digits, dashes, dots and underscores')
export const variableName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, IDENTIFIER)
export const parameterName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, IDENTIFIER)

/** Optional prefix and slash, then at most 63 characters: as Kubernetes has it. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?[/])?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
export const labelKey = z
  .string()
  .min(1)
  .max(317)
  .regex(LABEL_KEY, 'must be the name of a label, such as role or example.org/role')
export const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    'must be a label value: at most 63 letters, digits, dashes, dots and underscores',
  )

const LABELS_MAX = 64

/** OpenAPI 3.0 says nothing of a map's keys, so CEL does. */
export const labels = ruled(z.record(labelKey, labelValue), [
  {
    cel: `self.all(key, key.size() <= 317 && key.matches('${LABEL_KEY.source}'))`,
    message: 'must have names of labels, such as role or example.org/role',
    holds: () => true,
  },
  {
    cel: `self.size() <= ${LABELS_MAX}`,
    message: `must have at most ${LABELS_MAX} labels`,
    holds: value => Object.keys(value).length <= LABELS_MAX,
  },
]).meta({ maxProperties: LABELS_MAX })

const expression = ruled(
  z.strictObject({
    key: labelKey.describe('Name of the label.'),
    operator: z
      .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
      .describe(
        'In, NotIn: its value is, or is not, one of values. Exists, DoesNotExist: whether it is set.',
      ),
    values: z.array(labelValue).max(64).optional().describe('For In and NotIn, which need them.'),
  }),
  [
    {
      cel: "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
      message: 'In and NotIn need values; Exists and DoesNotExist have none',
      path: ['values'],
      holds: ({ operator, values = [] }) => ['In', 'NotIn'].includes(operator) === values.length > 0,
    },
  ],
)

/** As Kubernetes' LabelSelector. */
export const labelSelector = z
  .strictObject({
    matchLabels: labels.optional().describe('Labels and the values that they must have.'),
    matchExpressions: z.array(expression).max(16).optional().describe('Requirements that must all hold.'),
  })
  .meta({ 'x-kubernetes-map-type': 'atomic' })

const UNITS: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

const FORM = /^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/
const REMEDY = 'must be a quantity: a number, also with a unit, such as 500m, 2, 256Mi or 1Gi'

/** One between the two, both included. */
export function quantity(least: string, most: string) {
  const form = z.union([z.int().min(0), z.string().min(1).max(32).regex(FORM, REMEDY)], { error: REMEDY })
  return ruled(form.meta({ 'x-kubernetes-int-or-string': true }), [
    {
      cel: `quantity(string(self)).compareTo(quantity('${least}')) >= 0 && quantity(string(self)).compareTo(quantity('${most}')) <= 0`,
      message: `must be from ${least} to ${most}`,
      // What has no such form is NaN here, and was told so already.
      holds: value => !(valueOf(value) < valueOf(least) || valueOf(value) > valueOf(most)),
    },
  ])
}

/** Bytes of a quantity; a bare number counts bytes. */
export function bytesOf(value: string | number): number {
  return Math.round(valueOf(value))
}

/** Thousandths of a CPU. */
export function millisOf(value: string | number): number {
  return Math.round(valueOf(value) * 1_000)
}

function valueOf(value: string | number): number {
  const [, number, unit = ''] = /^([0-9.]+)([a-zA-Z]*)$/.exec(String(value)) ?? []
  return Number(number) * (UNITS[unit] ?? 1)
}
