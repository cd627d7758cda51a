import { expect, test } from 'vitest'
import type { CachedKind, ObjectRef, Resources } from '../resources/port.ts'
import type { OutcomeNotifier } from '../upkeep/outcome-notifier.ts'
import { createOverviewFeed } from './overview.ts'

const outcomes = { listen: () => () => undefined } as unknown as OutcomeNotifier
const refused = { conditions: [{ type: 'Ready', status: 'False' }] }

function createObjects() {
  const objects = new Map<
    string,
    { kind: string; metadata: { namespace: string; name: string; uid: string } }
  >()
  const listeners: ((ref: ObjectRef) => void)[] = []
  const changed = (name: string) =>
    listeners.forEach(listener => listener({ kind: 'ShellCronJob', namespace: 'ops', name }))
  const resources = {
    list: (kind: CachedKind) => [...objects.values()].filter(one => one.kind === kind),
    get: (kind: CachedKind, namespace: string, name: string) => objects.get(`${kind}/${namespace}/${name}`),
    onChange: (listener: (ref: ObjectRef) => void) => {
      listeners.push(listener)
      return () => undefined
    },
  } as unknown as Resources
  return {
    resources,
    put(name: string, uid: string) {
      objects.set(`ShellCronJob/ops/${name}`, {
        kind: 'ShellCronJob',
        metadata: { namespace: 'ops', name, uid },
      })
      changed(name)
    },
    remove(name: string) {
      objects.delete(`ShellCronJob/ops/${name}`)
      changed(name)
    },
  }
}

test('a page follows objects and their statuses, as the whole list does', () => {
  const { resources, put, remove } = createObjects()
  put('old', '1')
  const feed = createOverviewFeed(outcomes)
  feed.follow(resources)
  put('new', '2')
  feed.onStatus({ kind: 'ShellCronJob', namespace: 'ops', name: 'old' }, '1', refused)
  const names = (rows: number) => feed.page(resources, rows).objects.map(({ metadata }) => metadata.name)
  expect(names(0)).toEqual(['old'])
  expect(names(9)).toEqual(['new', 'old'])
  expect(feed.page(resources, 9).objects).toEqual(feed.objects(resources).toReversed())
  remove('old')
  put('old', '3')
  expect(names(0)).toEqual([])
})
