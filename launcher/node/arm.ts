import type { Arm } from './protocol.ts'

/** Why an order was not taken; `id` is empty if the order had none. */
export interface Refusal {
  id: string
  reason: string
  message: string
}

type Check = [field: string, ok: (value: unknown) => boolean]

const isText = (value: unknown) => typeof value === 'string' && !value.includes('\0')
const isFilled = (value: unknown) => isText(value) && value !== ''
const isDuration = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0
const isRecord = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
const isTexts = (value: unknown) => isRecord(value) && Object.values(value as object).every(isText)
const isEnv = (value: unknown) =>
  isTexts(value) && Object.keys(value as object).every(name => isFilled(name) && !name.includes('='))
const isFlag = (value: unknown) => typeof value === 'boolean'
const optional = (check: (value: unknown) => boolean) => (value: unknown) =>
  value === undefined || value === null || check(value)

const CHECKS: Check[] = [
  ['id', isFilled],
  ['session', isFilled],
  ['at', value => typeof value === 'number' && Number.isFinite(value)],
  ['argv', value => Array.isArray(value) && isFilled(value[0]) && value.every(isText)],
  ['env', isEnv],
  ['workingDir', isFilled],
  ['user', optional(isFilled)],
  ['group', optional(isFilled)],
  ['userEnv', optional(isFlag)],
  ['deadlineMs', optional(isDuration)],
  ['graceMs', isDuration],
  ['outputLimit', isDuration],
  ['stdin', optional(value => typeof value === 'string')],
  ['fenced', isFlag],
  ['notes', optional(isFlag)],
  ['mark', optional(value => isText(value) && String(value).indexOf('=') > 0)],
  ['labels', optional(isTexts)],
]

/** What this launcher cannot do is refused, never left out silently. */
const UNSUPPORTED = ['tty', 'resources']

/** Either the order with its known fields, or why it is refused. */
export function parseArm(value: unknown): Arm | Refusal {
  const fields = (isRecord(value) ? value : {}) as Record<string, unknown>
  const id = typeof fields['id'] === 'string' ? fields['id'] : ''
  const wrong = CHECKS.find(([field, ok]) => !ok(fields[field]))
  if (wrong) return { id, reason: 'Invalid', message: `${wrong[0]} is missing or malformed` }
  const missing = UNSUPPORTED.find(field => fields[field] !== undefined && fields[field] !== null)
  if (missing) return { id, reason: 'Unsupported', message: `this launcher has no ${missing}` }
  const known = CHECKS.map(([field]) => [field, fields[field] ?? undefined])
  return Object.fromEntries(known) as unknown as Arm
}
