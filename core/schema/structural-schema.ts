import * as z from 'zod'

/** Converts a zod schema to the structural schema that a CustomResourceDefinition requires. */

export type Json = { [key: string]: Value }
export type Value = Json | Value[] | string | number | boolean | undefined

export function structural(schema: z.ZodType): Json {
  return clean(
    z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }) as Json,
  ) as Json
}

/** The largest exact integer in JavaScript. zod adds it as a bound, which is not wanted here. */
const SAFE = Number.MAX_SAFE_INTEGER

/** Keywords that an API server refuses. It prunes unknown fields, or refuses them under strict validation, without `additionalProperties`. */
const REFUSED = ['$schema', 'propertyNames']

function clean(node: Value): Value {
  if (Array.isArray(node)) return node.map(clean)
  if (typeof node !== 'object') return node
  if (node['x-kubernetes-int-or-string'] === true) return intOrString(node)
  const kept = Object.entries(node).filter(
    ([key, value]) =>
      !REFUSED.includes(key) &&
      !(key === 'additionalProperties' && value === false) &&
      !(key === 'maximum' && value === SAFE) &&
      !(key === 'minimum' && value === -SAFE),
  )
  const cleaned = Object.fromEntries(
    kept.map(([key, value]) => [
      key,
      key === 'default' ? value : key === 'properties' ? each(value) : clean(value),
    ]),
  )
  // Atomic is the default. It is written explicitly.
  return cleaned.type === 'array' ? { 'x-kubernetes-list-type': 'atomic', ...cleaned } : cleaned
}

/** The keys of `properties` are names of fields, never keywords. */
function each(properties: Value): Value {
  return Object.fromEntries(Object.entries(properties as Json).map(([name, schema]) => [name, clean(schema)]))
}

/** An API server requires exactly this `anyOf`. The bounds of each type are put beside it and apply to values of that type. */
function intOrString({ anyOf, ...node }: Json): Json {
  const bounds = (anyOf as Json[]).map(branch => {
    const { type: _, ...rest } = clean(branch) as Json
    return rest
  })
  return { ...Object.assign({}, ...bounds), ...node, anyOf: [{ type: 'integer' }, { type: 'string' }] }
}
