import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Another process, with access to etcd, puts back what the operator signed before. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

const ref = (name: string) => ({ pool: 'default', namespace: 'test', name })
const raw = async (key: string) => (await pool.etcd.get(key))?.value ?? ''
const putRaw = (key: string, value: string) => pool.etcd.txn({ compare: [], then: [{ put: key, value }] })

/** Waits until the agent has seen what was put before, and would have acted on it. */
async function passed(name: string): Promise<void> {
  await pool.putJob({ name, uid: `uid-${name}`, ...due(), command: command('true') })
  await eventually('a later job has run', () => pool.ended(name))
  const from = Date.now()
  await eventually('three more seconds', () => Date.now() > from + 3_000)
}

test.each([
  ['generation', { generation: 1, written: 9 }],
  ['write of the same generation', { generation: 2, written: 9 }],
])('an older %s of a job is not believed', async (_, old) => {
  const key = pool.keys.job(ref('j'))
  const job = (script: string, over: object) =>
    pool.putJob({ name: 'j', command: command(`echo ${script} >> ${pool.truth}`), ...over })
  await job('old', old)
  const before = await raw(key)
  await job('new', { generation: 2, written: 10 })
  await pool.agent('a')
  await eventually('it runs', async () => (await pool.ran()).length > 0)
  await putRaw(key, before)
  await passed('later')
  expect(await pool.ran()).not.toContain('old')
  await job('newer', { generation: 2, written: 11 })
  await eventually('a later write is believed', async () => (await pool.ran()).includes('newer'))
})

test('a ShellRun that has run and is gone does not run again when it is put back', async () => {
  const key = pool.keys.run(ref('r'))
  const cell = pool.keys.cell({ ...ref('r'), kind: 'run', target: '-' })
  const request = () =>
    pool.request('run.test.r.-', { kind: 'run', namespace: 'test', name: 'r', target: '-', uid: 'uid-r' })
  await pool.agent('a')
  await pool.putRun({ name: 'r', uid: 'uid-r', written: 5, command: command(`echo x >> ${pool.truth}`) })
  const before = await raw(key)
  await request()
  await eventually('it has ended', () => pool.ended('r'))
  await pool.remove(key)
  await pool.remove(cell)
  await passed('later')
  await putRaw(key, before)
  await request()
  await passed('again')
  expect(await pool.ran()).toEqual(['x'])
})
