import { expect, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { silentLog } from '../platform/log.ts'
import type { View } from '../store/etcd/client.ts'
import { ViewItems } from '../store/etcd/view-items.ts'
import { groupKeys } from './grouped-keys.ts'

test('the keys of a group come and go, be it one or several', () => {
  const items = new ViewItems({ name: '', clock: systemClock, log: silentLog })
  const view = { items: items.all, onChange: listener => items.onChange(listener) } as View
  const groupOf = groupKeys(view, key => key.split('/')[0])
  const list = (...keys: string[]) =>
    items.applyList(
      keys.map(key => ({ key, value: '', mod: 1, create: 1, lease: '0' })),
      1,
    )
  const group = (name: string) => [...groupOf(name)].sort()
  list('a/1')
  expect(group('a')).toEqual(['a/1'])
  list('a/1', 'a/2', 'b/1')
  expect([group('a'), group('b')]).toEqual([['a/1', 'a/2'], ['b/1']])
  list('a/2')
  expect([group('a'), group('b')]).toEqual([['a/2'], []])
  list()
  expect(group('a')).toEqual([])
})
