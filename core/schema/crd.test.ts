import { describe, expect, test } from 'vitest'
import { crdOf } from './crd.ts'
import { KINDS, type Kind } from './objects.ts'

const kinds = Object.keys(KINDS) as Kind[]

interface Node {
  [keyword: string]: unknown
  type?: string
  properties?: Record<string, Node>
  items?: Node
  additionalProperties?: Node
}
interface Found {
  path: string
  node: Node
  /** Whether the field is inside a list item. */
  listed: boolean
}

/** Every field and item of a schema. */
function walk(node: Node, path: string, listed = false): Found[] {
  const inside = [
    ...Object.entries(node.properties ?? {}).flatMap(([name, it]) => walk(it, `${path}.${name}`, listed)),
    ...(node.items ? walk(node.items, `${path}[]`, true) : []),
    ...(node.additionalProperties ? walk(node.additionalProperties, `${path}{}`, listed) : []),
  ]
  return [{ path, node, listed }, ...inside]
}

/** The schema without metadata, which the API server defines. */
function fieldsOf(kind: Kind): Found[] {
  const { spec } = crdOf(kind) as { spec: { versions: { schema: { openAPIV3Schema: Node } }[] } }
  const { properties = {} } = spec.versions[0]?.schema.openAPIV3Schema ?? {}
  return ['spec', 'status'].flatMap(name => walk(properties[name] ?? {}, name))
}

const paths = (found: Found[]) => found.map(({ path }) => path)
const isInt = ({ type, ...node }: Node) => type === 'integer' || node['x-kubernetes-int-or-string'] === true

describe.each(kinds)('the CRD of %s', kind => {
  const fields = fieldsOf(kind)
  const ofSpec = fields.filter(({ path }) => path.startsWith('spec'))

  test('describes every field', () => {
    const named = fields.filter(({ path }) => !/(\[\]|\{\})$/.test(path))
    expect(paths(named.filter(({ node }) => !node.description))).toEqual([])
  })

  test('limits every string, list and map, because the API server estimates the cost of CEL rules by the limits', () => {
    const unlimited = fields.filter(({ node }) => {
      if (node.type === 'string') return node.maxLength === undefined && node.enum === undefined
      if (node.type === 'array') return node.maxItems === undefined
      return node.additionalProperties !== undefined && node.maxProperties === undefined
    })
    expect(paths(unlimited)).toEqual([])
  })

  test('has a minimum of at least 0 and a maximum for every number in spec', () => {
    const unbounded = ofSpec
      .filter(({ node }) => isInt(node))
      .filter(({ node }) => !(Number(node.minimum) >= 0) || (node.type && node.maximum === undefined))
    expect(paths(unbounded)).toEqual([])
  })

  test('has no default inside a list item, because server-side apply would report a difference', () => {
    expect(paths(fields.filter(({ node, listed }) => listed && node.default !== undefined))).toEqual([])
  })

  test('has a list type for every list', () => {
    const lists = fields.filter(({ node }) => node.type === 'array')
    expect(paths(lists.filter(({ node }) => !node['x-kubernetes-list-type']))).toEqual([])
  })

  test('is well below the size limit of an API server, and the same each time', () => {
    expect(JSON.stringify(crdOf(kind)).length).toBeLessThan(256_000)
    expect(JSON.stringify(crdOf(kind))).toBe(JSON.stringify(crdOf(kind)))
  })
})

test('list types are those that server-side apply needs', () => {
  const typeOf = Object.fromEntries(
    [...fieldsOf('ShellCronJob'), ...fieldsOf('ShellRun')].flatMap(({ path, node }) =>
      node['x-kubernetes-list-type']
        ? [[path.replace('spec.template.spec.', ''), node['x-kubernetes-list-type']]]
        : [],
    ),
  )
  expect(typeOf).toMatchObject({
    env: 'map',
    'spec.parameters': 'map',
    'status.conditions': 'map',
    'spec.schedules': 'set',
    'spec.targets': 'set',
    'target.agents': 'set',
    successExitCodes: 'set',
    shell: 'atomic',
    envFrom: 'atomic',
    'status.active': 'atomic',
    'status.runs': 'atomic',
    'status.nextScheduleTimes': 'atomic',
  })
})
