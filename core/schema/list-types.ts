import type * as z from 'zod'

/** How server-side apply merges lists. An API server refuses a duplicate value or key, and so does this. */

/** A set: no duplicate values. */
export function setOf<S extends z.ZodType<readonly (string | number)[]>>(list: S): S {
  return distinct(list, value => value, []).meta({ ...list.meta(), 'x-kubernetes-list-type': 'set' })
}

/** A map by `name`: no duplicate names. */
export function byName<S extends z.ZodType<readonly { name: string }[]>>(list: S): S {
  return distinct(list, ({ name }) => name, ['name']).meta({
    ...list.meta(),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  })
}

function distinct<S extends z.ZodType<readonly unknown[]>>(
  list: S,
  keyOf: (item: z.output<S>[number]) => unknown,
  path: string[],
): S {
  return list.superRefine((items, context) => {
    const seen = new Set<unknown>()
    for (const [i, item] of items.entries()) {
      const key = keyOf(item)
      if (seen.has(key))
        context.addIssue({
          code: 'custom',
          message: 'is a duplicate; remove it',
          path: [i, ...path],
          input: key,
        })
      seen.add(key)
    }
  })
}
