import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ShellCronJob } from '../../core/schema/objects.ts'
import { createJobOrder } from './job-order.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']

function fakeResources() {
  const jobs = new Map<string, ShellCronJob>()
  const resources = {
    get: (_: string, namespace: string, name: string) => jobs.get(`${namespace}/${name}`),
    list: () => [...jobs.values()],
  } as unknown as Parameters<typeof createJobOrder>[0]
  const put = (namespace: string, name: string, second: number) => {
    const creationTimestamp = new Date(second * 1_000).toISOString()
    jobs.set(`${namespace}/${name}`, { metadata: { namespace, name, creationTimestamp } } as ShellCronJob)
  }
  return {
    put,
    remove: (namespace: string, name: string) => jobs.delete(`${namespace}/${name}`),
    resources,
    jobs,
  }
}

test('the older job comes first, at equal age the one with the lesser name; each namespace has its own order', () => {
  const { put, resources } = fakeResources()
  put('x', 'b', 1)
  put('x', 'a', 2)
  put('x', 'c', 1)
  put('y', 'z', 0)
  const order = createJobOrder(resources)
  expect(['b', 'c', 'a'].map(name => order.olderThan('x', name))).toEqual([0, 1, 2])
  expect(order.olderThan('y', 'z')).toBe(0)
})

test('only a job that comes, goes or is created again is a change', () => {
  const { put, remove, resources } = fakeResources()
  put('x', 'a', 1)
  const order = createJobOrder(resources)
  expect(order.update('x', 'a')).toBe(false)
  put('x', 'b', 2)
  expect(order.update('x', 'b')).toBe(true)
  put('x', 'a', 3)
  expect(order.update('x', 'a')).toBe(true)
  expect(order.olderThan('x', 'a')).toBe(1)
  remove('x', 'b')
  expect(order.update('x', 'b')).toBe(true)
  expect(order.olderThan('x', 'a')).toBe(0)
})

test('after any sequence of changes the order equals a newly computed one', () => {
  const step = fc.record({ name: fc.constantFrom(...NAMES), at: fc.option(fc.nat(3)) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const { put, remove, resources } = fakeResources()
      const order = createJobOrder(resources)
      for (const { name, at } of steps) {
        if (at === null) remove('x', name)
        else put('x', name, at)
        order.update('x', name)
        const fresh = createJobOrder(resources)
        expect(NAMES.map(each => order.olderThan('x', each))).toEqual(
          NAMES.map(each => fresh.olderThan('x', each)),
        )
      }
    }),
  )
})
