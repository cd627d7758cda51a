import { z } from 'zod'

/**
 * One rule, told to two judges: as CEL to an API server, as a function to whoever has none. Both refuse the same, with the same words.
 * `cel` sees `self`, the value that the rule stands on; `path` names the field under it that is to be changed.
 */
export interface Rule<T> {
  cel: string
  message: string
  path?: readonly string[]
  /** Does the value keep the rule? */
  holds(value: T): boolean
}

/** The schema with rules on it. They are kept in its metadata too, from which the CRD's `x-kubernetes-validations` are made. */
export function ruled<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const rule of rules) {
      if (!rule.holds(value as z.output<S>)) {
        context.addIssue({ code: 'custom', message: rule.message, path: [...(rule.path ?? [])] })
      }
    }
  })
  return checked.meta({
    ...schema.meta(),
    'x-kubernetes-validations': rules.map(({ cel, message }) => ({ rule: cel, message })),
  })
}

/** A rule on changes, which only an API server sees. */
export function unchanging<S extends z.ZodType>(schema: S, message: string): S {
  const before = (schema.meta()?.['x-kubernetes-validations'] ?? []) as object[]
  return schema.meta({
    ...schema.meta(),
    'x-kubernetes-validations': [...before, { rule: 'self == oldSelf', message }],
  })
}
