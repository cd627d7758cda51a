import { expect, test } from 'vitest'
import { memberSchema, poolSchema } from '../../../core/records/state.ts'
import { parseValue } from '../../../store/protocol/versioned.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** An object that a newer version wrote exists for an older version too, although it is unreadable: it must not count as deleted. */
const bench = operatorForEach()

/** As a newer version leaves it: this version can read neither its record nor its file. */
async function made(kind: string, name: string, spec: object): Promise<void> {
  await bench.put(bench.keys.status(kind, '-', name), {
    uid: `u-${name}`,
    generation: 1,
    created: 0,
    file: `${name}.yaml`,
    spec,
  })
  await bench.write(`${name}.yaml`, 'apiVersion: shellcron.dev/v1alpha1\nkind: [')
}

const member = async (pool: string, agent: string) => {
  const item = await bench.etcd.get(bench.keys.member(pool, agent))
  return item && parseValue(memberSchema, item.value)
}

test('the member and the pool of unreadable objects stay as they are', async () => {
  const { keys } = bench
  await made('ShellAgent', 'web1', { external: 'newer' })
  await made('ShellPool', 'web', { sessionTTLSeconds: 'long' })
  await made('ShellPool', 'empty', { sessionTTLSeconds: 'long' })
  await bench.put(keys.member('web', 'web1'), { labels: { role: 'web' }, enrolledAt: 7 })
  for (const pool of ['web', 'empty', 'gone']) await bench.put(keys.pool(pool), { ttlSeconds: 77 })
  await bench.write('web2.yaml', object('ShellAgent', 'web2', { external: {}, pool: 'web' }))
  await bench.operator()
  await eventually('another member', () => member('web', 'web2'))
  await eventually('what has no object goes', async () => !(await bench.etcd.get(keys.pool('gone'))))
  expect(await member('web', 'web1')).toMatchObject({ labels: { role: 'web' }, enrolledAt: 7 })
  for (const pool of ['web', 'empty']) {
    const item = await bench.etcd.get(keys.pool(pool))
    expect(item && parseValue(poolSchema, item.value)?.ttlSeconds, pool).toBe(77)
  }
})

test('an unreadable policy allows nothing, and differs from a missing one', async () => {
  await made('ShellPolicy', 'strict', { namespaces: 'newer' })
  await bench.write('a.yaml', cronJob('a'))
  await bench.operator()
  const entry = await eventually('the entry', () => bench.job('a'))
  expect(entry.blocked).toMatchObject({ reason: expect.stringMatching(/Policy|Refused/) as string })
})
