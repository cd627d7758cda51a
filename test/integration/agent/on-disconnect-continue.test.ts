import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Etcd } from '../../../store/etcd/client.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due, type StartedAgent } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** With onDisconnect Continue, a run outlives the session of its agent, and the next session of that agent records it. */
const pool = poolForEach({ ttlSeconds: 2, members: ['a'] })

const ended = () => pool.ended('j')

/** Starts a run that writes `begun`, and `done` once the file `go` exists, and ends its agent and session. */
async function startDisconnectedRun(): Promise<StartedAgent> {
  const agent = await pool.agent('a')
  await pool.putJob({
    name: 'j',
    ...due(),
    command: command(
      `echo begun >> ${pool.truth}; until [ -e ${join(pool.dir, 'go')} ]; do sleep 0.1; done; echo done >> ${pool.truth}`,
      { onDisconnect: 'Continue', activeDeadlineSeconds: 600 },
    ),
  })
  await eventually('it runs', async () => (await pool.ran()).length === 1)
  await agent.crash()
  await eventually('its session has ended', async () => {
    return (await pool.etcd.get(pool.keys.agent('default', 'a'))) === undefined
  })
  return agent
}

const letItEnd = () => writeFile(join(pool.dir, 'go'), '')

test('the run continues, and its real outcome is recorded', async () => {
  await startDisconnectedRun()
  await pool.agent('a')
  await eventually('the new session has taken the run over', async () => {
    const [active] = await pool.actives()
    const registration = await pool.etcd.get(pool.keys.agent('default', 'a'))
    return registration !== undefined && active?.session === registration.create
  })
  await letItEnd()
  expect(await eventually('it has ended', ended)).toMatchObject({ outcome: 'Succeeded', attempt: 1 })
  expect(await pool.ran()).toEqual(['begun', 'done'])
})

test('the run is kept when other agents change its cell meanwhile', async () => {
  await startDisconnectedRun()
  let changes = 0
  const keyOfCell = pool.keys.cell({
    pool: 'default',
    kind: 'job',
    namespace: 'test',
    name: 'j',
    target: '-',
  })
  const changing = (real: Etcd): Etcd => ({
    ...real,
    batch: async txns => {
      const isPut = (key: string) => key.startsWith(pool.keys.actives('default', 'a'))
      const isReowned = txns.some(({ then }) => then.some(op => 'put' in op && isPut(op.put)))
      if (isReowned && changes < 3) {
        const cell = await real.get(keyOfCell)
        changes++
        await real.txn({ compare: [], then: [{ put: keyOfCell, value: cell?.value ?? '' }] })
      }
      return real.batch(txns)
    },
  })
  await pool.agent('a', { etcd: changing })
  await eventually('its cell has changed three times', () => changes === 3)
  await letItEnd()
  expect(await eventually('it has ended', ended)).toMatchObject({ outcome: 'Succeeded', attempt: 1 })
})

test('a run that ended while no agent was running is recorded with its real outcome', async () => {
  await startDisconnectedRun()
  await letItEnd()
  await eventually('it is done', async () => (await pool.ran()).length === 2)
  await pool.agent('a')
  expect(await eventually('it is recorded', ended)).toMatchObject({ outcome: 'Succeeded', attempt: 1 })
})

test('after a reboot, the run is Lost at once and is not retried', async () => {
  const agent = await startDisconnectedRun()
  await agent.reboot()
  await pool.agent('a')
  expect(await eventually('it is recorded', ended)).toMatchObject({ outcome: 'Lost', final: true })
  expect(await pool.ran()).toEqual(['begun'])
})
