import type * as z from 'zod'

/**
 * One rule in two forms: CEL for an API server, a function for everything else. Both refuse the same values with the same message.
 * In `cel`, `self` is the value that the rule applies to. `path` names the field below it that must be changed.
 */
interface Rule<T> {
  cel: string
  message: string
  path?: readonly string[]
  /** Whether the value satisfies the rule. */
  holds(value: T): boolean
}

/** The form for an API server. */
export interface CelRule {
  rule: string
  message: string
  fieldPath?: string
}

const KEY = 'x-kubernetes-validations'

/** The schema with rules. They are also kept in its metadata, from which the CRD's `x-kubernetes-validations` are generated. */
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

/** The schema of a value that must not change. Only an API server can check that. */
export function unchanging<S extends z.ZodType>(schema: S, message: string): S {
  return schema.meta({
    ...schema.meta(),
    [KEY]: [...celRules(schema), { rule: 'self == oldSelf', message }],
  })
}

/** The rules of the schema itself, not of its fields. */
export function celRules(schema: z.ZodType): CelRule[] {
  return (schema.meta()?.[KEY] ?? []) as CelRule[]
}

function celOf({ cel, message, path }: Rule<never>): CelRule {
  return { rule: cel, message, ...(path ? { fieldPath: path.map(step => `.${step}`).join('') } : {}) }
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value)
}
