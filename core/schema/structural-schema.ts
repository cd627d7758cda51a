import * as z from 'zod'

/** From a zod schema to a structural one, as an API server demands of a CustomResourceDefinition. */

export type Json = { [key: string]: Value }
export type Value = Json | Value[] | string | number | boolean | undefined

export function structural(schema: z.ZodType): Json {
  return clean(
    z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }) as Json,
  ) as Json
}

/** Bounds that say only what JavaScript can count to. */
const SAFE = Number.MAX_SAFE_INTEGER

/** Unknown fields are pruned, or refused with strict validation, without `additionalProperties`; of keys OpenAPI 3.0 says nothing. */
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
  // What is not said is atomic; it is better said.
  return cleaned.type === 'array' ? { 'x-kubernetes-list-type': 'atomic', ...cleaned } : cleaned
}

/** Names of fields are not keywords, whatever they are. */
function each(properties: Value): Value {
  return Object.fromEntries(Object.entries(properties as Json).map(([name, schema]) => [name, clean(schema)]))
}

/** An API server demands exactly this `anyOf`; the bounds of either type stand beside it, and hold for values of that type. */
function intOrString({ anyOf, ...node }: Json): Json {
  const bounds = (anyOf as Json[]).map(branch => {
    const { type: _, ...rest } = clean(branch) as Json
    return rest
  })
  return { ...Object.assign({}, ...bounds), ...node, anyOf: [{ type: 'integer' }, { type: 'string' }] }
}
