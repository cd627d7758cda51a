import type * as z from 'zod'

/** What server-side apply merges by. An API server refuses a value or a key that comes twice, and so does this. */

/** A set: no value twice. */
export function setOf<S extends z.ZodType<readonly (string | number)[]>>(list: S): S {
  return distinct(list, value => value, []).meta({ ...list.meta(), 'x-kubernetes-list-type': 'set' })
}

/** A map by `name`: no name twice. */
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
          message: 'comes twice; leave one out',
          path: [i, ...path],
          input: key,
        })
      seen.add(key)
    }
  })
}
