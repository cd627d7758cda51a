import { expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import type { Txn } from '../../../store/etcd/types.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'
import { eventually } from '../eventually.ts'

/** A claim is applied, but its answer is so late that the agent checks for unknown active entries of its own first. */
const pool = poolForEach({ members: ['a'] })

function slowToAnswer(real: Etcd): Etcd {
  const mine = pool.keys.actives('default', 'a')
  const isClaim = ({ then }: Txn) => then.some(op => 'put' in op && op.put.startsWith(mine))
  const looked = Promise.withResolvers<void>()
  let claimed = false
  return {
    ...real,
    batch: async (txns, signal) => {
      const answers = await real.batch(txns, signal)
      if (claimed || !txns.some(isClaim)) return answers
      claimed = true
      await looked.promise
      return answers
    },
    list: async (prefix, signal) => {
      const found = await real.list(prefix, signal)
      // A moment later it has decided about them.
      if (claimed && prefix === mine) void systemClock.sleep(300).then(looked.resolve)
      return found
    },
  }
}

async function ended() {
  const result = await eventually('it ends', async () => (await pool.results())[0])
  await eventually('nothing is active', async () => (await pool.actives()).length === 0)
  return result
}

test('a scheduled run is not settled as unknown', async () => {
  await pool.putJob({
    name: 'j',
    schedules: ['@every 1000h'],
    scheduleChangedAt: Date.now() - 3_600_000_000,
    command: command(`echo x >> ${pool.truth}`),
  })
  await pool.agent('a', { etcd: slowToAnswer })
  expect(await ended()).toMatchObject({ outcome: 'Succeeded', final: true })
  expect(await pool.ran()).toHaveLength(1)
})

test('a ShellRun is not settled as unknown', async () => {
  await pool.putRun({ name: 'r', command: command(`echo x >> ${pool.truth}`) })
  await pool.request('run.test.r.-', {
    kind: 'run',
    namespace: 'test',
    name: 'r',
    target: '-',
    uid: 'uid-1',
  })
  await pool.agent('a', { etcd: slowToAnswer })
  expect(await ended()).toMatchObject({ outcome: 'Succeeded', final: true })
  expect(await pool.ran()).toHaveLength(1)
})
