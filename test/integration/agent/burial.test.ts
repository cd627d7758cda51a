import { expect, test } from 'vitest'
import type { Active } from '../../../core/records/state.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Burial of a dead agent's attempts. */
const pool = poolForEach({ ttlSeconds: 3, members: ['a'] })

test('a run that was being killed when its agent died is Lost, and not retried', async () => {
  const a = await pool.agent('a')
  await pool.putJob({
    name: 'j',
    ...due(),
    command: command('exec sleep 600', { backoffLimit: 3 }),
  })
  const active = await eventually('it is claimed', async () => (await pool.actives())[0])
  await a.crash()
  const key = pool.keys.active('default', 'a', active.run)
  const marked: Active = { ...active, kill: { reason: 'Replaced' } }
  await pool.etcd.txn({ compare: [], then: [{ put: key, value: JSON.stringify(marked) }] })

  await pool.putMember('b')
  await pool.agent('b')
  const lost = await eventually('it is buried', () => pool.ended('j'), 60_000)
  expect(lost).toMatchObject({ outcome: 'Lost', reason: 'AgentLost', attempt: 1, final: true })
  expect(await pool.actives()).toEqual([])
})
