import { expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import { createEtcdStatusStore } from '../../../operator/resources/directory/status-store.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'

const { etcd } = etcdForAll()

test('a status is loaded by kind, namespace and name, and no longer once it is deleted', async () => {
  const store = createEtcdStatusStore(etcd, createKeys('/test/'))
  await store.put('ShellCronJob/ops/backup', '{"a":1}')
  await store.put('ShellCronJob/ops/backup', '{"a":2}')
  await store.put('ShellAgent//web1', '{}')
  await store.put('ShellRun/ops/gone', '{}')
  await store.delete('ShellRun/ops/gone')
  await store.delete('ShellRun/ops/never')
  expect(await store.load()).toEqual(
    new Map([
      ['ShellAgent//web1', '{}'],
      ['ShellCronJob/ops/backup', '{"a":2}'],
    ]),
  )
  expect(await etcd.get('/test/status/ShellCronJob/ops/backup')).toMatchObject({ value: '{"a":2}' })
})
