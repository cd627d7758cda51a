import { expect, test } from 'vitest'
import { memberSchema, poolSchema } from '../../../core/records/state.ts'
import { parseValue } from '../../../store/protocol/versioned.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** An object that a newer version wrote exists for an older version too, although it is unreadable: it must not count as deleted. */
const fixture = operatorForEach()

/** As a newer version leaves it: this version can read neither its record nor its file. */
async function made(kind: string, name: string, spec: object): Promise<void> {
  await fixture.put(fixture.keys.status(kind, '-', name), {
    uid: `u-${name}`,
    generation: 1,
    created: 0,
    file: `${name}.yaml`,
    spec,
  })
  await fixture.write(`${name}.yaml`, 'apiVersion: shellcron.dev/v1alpha1\nkind: [')
}

const member = async (pool: string, agent: string) => {
  const item = await fixture.etcd.get(fixture.keys.member(pool, agent))
  return item && parseValue(memberSchema, item.value)
}

test('the member and the pool of unreadable objects stay as they are', async () => {
  const { keys } = fixture
  await made('ShellAgent', 'web1', { external: 'newer' })
  await made('ShellPool', 'web', { sessionTTLSeconds: 'long' })
  await made('ShellPool', 'empty', { sessionTTLSeconds: 'long' })
  await fixture.put(keys.member('web', 'web1'), { labels: { role: 'web' }, enrolledAt: 7 })
  for (const pool of ['web', 'empty', 'gone']) await fixture.put(keys.pool(pool), { ttlSeconds: 77 })
  await fixture.write('web2.yaml', object('ShellAgent', 'web2', { external: {}, pool: 'web' }))
  await fixture.operator()
  await eventually('another member', () => member('web', 'web2'))
  await eventually(
    'keys without an object are deleted',
    async () => !(await fixture.etcd.get(keys.pool('gone'))),
  )
  expect(await member('web', 'web1')).toMatchObject({ labels: { role: 'web' }, enrolledAt: 7 })
  for (const pool of ['web', 'empty']) {
    const item = await fixture.etcd.get(keys.pool(pool))
    expect(item && parseValue(poolSchema, item.value)?.ttlSeconds, pool).toBe(77)
  }
})

test('an unreadable policy allows nothing, and differs from a missing one', async () => {
  await made('ShellPolicy', 'strict', { namespaces: 'newer' })
  await fixture.write('a.yaml', cronJob('a'))
  await fixture.operator()
  const entry = await eventually('the entry', () => fixture.job('a'))
  expect(entry.blocked).toMatchObject({ reason: expect.stringMatching(/Policy|Refused/) as string })
})
