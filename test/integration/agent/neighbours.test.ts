import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Active } from '../../../core/records/state.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due, type ScriptedPool, startScriptedPool } from '../../fixtures/pool.ts'
import { type EtcdCluster, startEtcd } from '../../servers/etcd.ts'

/** Two independent installations of ShellCron on one machine. */
const etcds: EtcdCluster[] = []
const pools: ScriptedPool[] = []

beforeAll(async () => {
  for (const _ of [1, 2]) {
    const etcd = await startEtcd()
    etcds.push(etcd)
    const pool = await startScriptedPool(etcd, 30)
    pools.push(pool)
    await pool.putMember('a')
    await pool.agent('a')
  }
})
afterAll(async () => {
  for (const pool of pools) await pool.close()
  for (const etcd of etcds) await etcd.stop()
})

test('a kill ends the run of one installation, and not the run with the same id of the other one', async () => {
  const [mine, other] = pools as [ScriptedPool, ScriptedPool]
  await mine.putJob({ name: 'j', ...due(), command: command('exec sleep 600') })
  await eventually('it is claimed', async () => (await mine.actives())[0])
  await other.putJob({ name: 'j', ...due(), command: command('exec sleep 600') })
  const runs = await Promise.all(
    [mine, other].map(pool => eventually('it is claimed', async () => (await pool.actives())[0])),
  )
  expect(new Set(runs.map(({ run }) => run)).size).toBe(1)
  const { run, uid } = runs[0] as Active
  const claimed = Date.now()
  await eventually('both have started', () => Date.now() > claimed + 1_000)
  await mine.request('kill.x', { kind: 'kill', run, uid, reason: 'Deleted' })
  const killed = await eventually('it is killed', () => mine.ended('j'))
  expect(killed).toMatchObject({ run, outcome: 'Killed' })
  const seen = Date.now()
  await eventually('a second has passed', () => Date.now() > seen + 1_000)
  expect(await other.ended('j')).toBeUndefined()
})
