import type * as z from 'zod'

/**
 * One rule, told to two judges: as CEL to an API server, as a function to whoever has none. Both refuse the same, with the same words.
 * `cel` sees `self`, the value that the rule stands on; `path` names the field under it that is to be changed.
 */
interface Rule<T> {
  cel: string
  message: string
  path?: readonly string[]
  /** Does the value keep the rule? */
  holds(value: T): boolean
}

/** As an API server is told it. */
export interface CelRule {
  rule: string
  message: string
  fieldPath?: string
}

const KEY = 'x-kubernetes-validations'

/** The schema with rules on it. They are kept in its metadata too, from which the CRD's `x-kubernetes-validations` are made. */
export function ruled<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const rule of rules) {
      if (!rule.holds(value as z.output<S>)) {
        const path = [...(rule.path ?? [])]
        context.addIssue({ code: 'custom', message: rule.message, path, input: at(value, path) })
      }
    }
  })
  return checked.meta({ ...schema.meta(), [KEY]: [...celRules(schema), ...rules.map(celOf)] })
}

/** The schema of something that no change is allowed to; only an API server sees changes. */
export function unchanging<S extends z.ZodType>(schema: S, message: string): S {
  return schema.meta({
    ...schema.meta(),
    [KEY]: [...celRules(schema), { rule: 'self == oldSelf', message }],
  })
}

/** The rules that stand on a schema itself. */
export function celRules(schema: z.ZodType): CelRule[] {
  return (schema.meta()?.[KEY] ?? []) as CelRule[]
}

function celOf({ cel, message, path }: Rule<never>): CelRule {
  return { rule: cel, message, ...(path ? { fieldPath: path.map(step => `.${step}`).join('') } : {}) }
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value)
}
