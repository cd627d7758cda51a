import { expect, test } from 'vitest'
import { placementSchema } from '../records/entry.ts'
import { isTarget, rank, rankOf, selects } from './placement.ts'

const agents = Array.from({ length: 20 }, (_, i) => `node-${i}`)

test('when an agent leaves, only its jobs move', () => {
  for (let job = 0; job < 200; job++) {
    const before = rank(`uid-${job}`, agents)
    const after = rank(
      `uid-${job}`,
      agents.filter(agent => agent !== 'node-7'),
    )
    if (before[0] !== 'node-7') expect(after[0]).toBe(before[0])
  }
})

test('jobs spread over all agents', () => {
  const first = new Map<string, number>()
  for (let job = 0; job < 2_000; job++) {
    const winner = rank(`uid-${job}`, agents)[0] ?? ''
    first.set(winner, (first.get(winner) ?? 0) + 1)
  }
  expect(first.size).toBe(20)
  expect(Math.max(...first.values())).toBeLessThan(160)
})

test('rankOf is the position in the sorted ranking, or -1 for an agent that is not in it', () => {
  for (let job = 0; job < 50; job++) {
    for (const agent of agents)
      expect(rankOf(`u${job}`, agent, agents)).toBe(rank(`u${job}`, agents).indexOf(agent))
  }
  expect(rankOf('u', 'elsewhere', agents)).toBe(-1)
})

test('selectors match as in Kubernetes', () => {
  const labels = { role: 'db', tier: '1' }
  const by = (key: string, operator: string, values: string[] = []) =>
    selects({ matchLabels: {}, matchExpressions: [{ key, operator, values }] }, labels)
  expect(selects({ matchLabels: { role: 'db' }, matchExpressions: [] }, labels)).toBe(true)
  expect(selects({ matchLabels: { role: 'web' }, matchExpressions: [] }, labels)).toBe(false)
  expect(by('role', 'In', ['db', 'web'])).toBe(true)
  expect(by('role', 'NotIn', ['db'])).toBe(false)
  expect(by('zone', 'NotIn', ['db'])).toBe(true)
  expect(by('zone', 'Exists')).toBe(false)
  expect(by('zone', 'DoesNotExist')).toBe(true)
  expect(by('role', 'Near', ['db'])).toBe(false)
})

test('if agents are named, only they are targets', () => {
  const member = { labels: {}, cordoned: false, enrolledAt: 0 }
  expect(isTarget(placementSchema.parse({ agents: ['a'] }), 'a', member)).toBe(true)
  expect(isTarget(placementSchema.parse({ agents: ['a'] }), 'b', member)).toBe(false)
})
