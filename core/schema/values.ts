import * as z from 'zod'
import { ruled } from './cel-rule.ts'

/** Kinds of values that several objects share. Every string and list has a maximum, because API servers estimate the cost of CEL by it. */

const SECONDS_MAX = 31_536_000

/** Whole seconds, at most a year. */
export const seconds = (minimum = 0) => z.int().min(minimum).max(SECONDS_MAX)

/** The system ends strings at a NUL, so no process can get one. The syntax is that of Go's regular expressions too. */
const NO_NUL = '[^\\x00]*'

/** Text for a process. Its length is counted in characters, as API servers do, not in UTF-16 code units. */
export const plainText = (most: number, least = 0) =>
  z
    .string()
    .min(least)
    .regex(new RegExp(`^${NO_NUL}$`), 'must not contain a NUL character')
    .superRefine((input, context) => {
      if (input.length > most && Array.from(input).length > most)
        context.addIssue({ code: 'too_big', origin: 'string', maximum: most, inclusive: true, input })
    })
    .meta({ maxLength: most })

export const absolutePath = z
  .string()
  .min(1)
  .max(4_096)
  .regex(new RegExp(`^(/|[A-Za-z]:[/\\\\])${NO_NUL}$`), 'must be an absolute path, such as /var/tmp')

const OBJECT_NAME =
  'must be lower-case letters, digits, dashes and dots, and begin and end with a letter or digit'
const IDENTIFIER = 'must be letters, digits and underscores, and not begin with a digit'

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
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    'must be lower-case letters, digits and dashes, and begin and end with a letter or digit',
  )
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

/** Optional prefix and slash, then at most 63 characters, as in Kubernetes. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?[/])?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
export const labelKey = z
  .string()
  .min(1)
  .max(317)
  .regex(LABEL_KEY, 'must be a label name, such as role or example.org/role')
export const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    'must be a label value: at most 63 letters, digits, dashes, dots and underscores',
  )

const LABELS_MAX = 64

/** OpenAPI 3.0 cannot check the keys of a map, so CEL does. */
export const labels = ruled(z.record(labelKey, labelValue), [
  {
    cel: `self.all(key, key.size() <= 317 && key.matches('${LABEL_KEY.source}'))`,
    message: 'must have valid label names as keys, such as role or example.org/role',
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
    key: labelKey.describe('Name of the label: at most 317 characters, such as role or example.org/role.'),
    operator: z
      .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
      .describe(
        'How the label is matched. In: its value is one of values. NotIn: it is not, or the label is not set. Exists: the label is set. DoesNotExist: it is not set.',
      ),
    values: z
      .array(labelValue)
      .max(64)
      .optional()
      .describe(
        'Values for In and NotIn, which require at least one; at most 64. Not allowed with Exists and DoesNotExist.',
      ),
  }),
  [
    {
      cel: "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
      message: 'In and NotIn need values; Exists and DoesNotExist must not have values',
      path: ['values'],
      holds: ({ operator, values = [] }) => ['In', 'NotIn'].includes(operator) === values.length > 0,
    },
  ],
)

/** As LabelSelector in Kubernetes. */
export const labelSelector = z
  .strictObject({
    matchLabels: labels.optional().describe('Labels and their required values; all must match. At most 64.'),
    matchExpressions: z
      .array(expression)
      .max(16)
      .optional()
      .describe('Requirements on labels; all must match. At most 16.'),
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
const REMEDY = 'must be a quantity: a number with an optional unit, such as 500m, 2, 256Mi or 1Gi'

/** A quantity from `least` to `most`, both included. */
export function quantity(least: string, most: string) {
  const form = z.union([z.int().min(0), z.string().min(1).max(32).regex(FORM, REMEDY)], { error: REMEDY })
  return ruled(form.meta({ 'x-kubernetes-int-or-string': true }), [
    {
      cel: `quantity(string(self)).compareTo(quantity('${least}')) >= 0 && quantity(string(self)).compareTo(quantity('${most}')) <= 0`,
      message: `must be from ${least} to ${most}`,
      // A value in another form is NaN here; the form's own message is reported.
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
