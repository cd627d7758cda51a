import { expect, test } from 'vitest'
import type { ShellAgent, ShellPool } from '../../core/schema/objects.ts'
import type { Node } from '../resources/port.ts'
import { agentsForNodes, desiredMembers, desiredPools, poolOfNode } from './plan.ts'

const node = (name: string, labels: Record<string, string> = {}): Node => ({
  kind: 'Node',
  metadata: { name, uid: `uid-${name}`, labels },
  ready: true,
})
const pool = (name: string, spec: object = {}) =>
  ({ metadata: { name }, spec: { sessionTTLSeconds: 30, paused: false, ...spec } }) as unknown as ShellPool
const agent = (name: string, spec: object) =>
  ({ metadata: { name }, spec: { pool: 'default', cordoned: false, ...spec } }) as unknown as ShellAgent

const controlPlane = { 'node-role.kubernetes.io/control-plane': '' }
const db = pool('db', { nodeSelector: { role: 'db' } })

test.each<[string, Record<string, string>, ShellPool[], string | undefined]>([
  ['a Node is in pool default', {}, [], 'default'],
  ['a Node that a pool selects is in that pool', { role: 'db' }, [db], 'db'],
  ['a Node that no pool selects is in default', { role: 'web' }, [db], 'default'],
  ['a control-plane Node is in no pool', controlPlane, [db], undefined],
  [
    'unless a pool asks for it',
    controlPlane,
    [pool('control-plane', { nodeSelector: controlPlane })],
    'control-plane',
  ],
  [
    'a pool default with a selector takes no others',
    {},
    [pool('default', { nodeSelector: { a: 'b' } })],
    undefined,
  ],
])('%s', (_, labels, pools, expected) => {
  expect(poolOfNode(node('n', labels), pools)).toBe(expected)
})

test('each Node gets a ShellAgent, and a moved Node gets its new pool; an external agent of its name stays', () => {
  const known = new Map([
    ['n1', agent('n1', {})],
    ['n2', agent('n2', { pool: 'old' })],
    ['n3', agent('n3', { external: {}, pool: 'x' })],
  ])
  const nodes = ['n1', 'n2', 'n3', 'n4'].map(name => node(name))
  expect(agentsForNodes(nodes, [], known).map(({ name, spec }) => [name, spec])).toEqual([
    ['n2', { pool: 'default' }],
    ['n4', { pool: 'default' }],
  ])
})

test('members are external agents, and agents whose Node exists; they have its labels', () => {
  const agents = [
    agent('web1', { external: {}, pool: 'web', labels: { role: 'web' }, maxConcurrentRuns: 5 }),
    agent('n1', { cordoned: true }),
    agent('gone', {}),
  ]
  expect(desiredMembers(agents, new Map([['n1', node('n1', { zone: 'a' })]]), [])).toEqual([
    { pool: 'web', agent: 'web1', labels: { role: 'web' }, cordoned: false, maxConcurrentRuns: 5 },
    { pool: 'default', agent: 'n1', labels: { zone: 'a' }, cordoned: true },
  ])
})

test('the pools are default, those with an object, and those of members', () => {
  const members = desiredMembers([agent('w', { external: {}, pool: 'web' })], new Map(), [])
  const pools = desiredPools([pool('db', { sessionTTLSeconds: 10, paused: true })], members, false)
  expect([...pools.keys()].sort()).toEqual(['db', 'default', 'web'])
  expect(pools.get('db')).toEqual({ ttlSeconds: 10, paused: true, draining: false })
})
