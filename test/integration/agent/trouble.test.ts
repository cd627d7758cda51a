import { expect, test } from 'vitest'
import { registrationSchema } from '../../../core/records/state.ts'
import { eventually } from '../../fault/eventually.ts'
import { startLongRun } from '../../fixtures/long-run.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** An agent that lives but does not claim reports why, for its ShellAgent's status. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

test('its registration has the reason while it does not claim, and no reason afterwards', async () => {
  await pool.agent('a')
  const first = await eventually('its session', read)
  expect(first.said).not.toHaveProperty('trouble')
  const troubled = await skewed('it says so')
  expect(troubled.said).toEqual({
    ...first.said,
    trouble: { reason: 'ClockSkewed', since: expect.any(Number) },
  })
  // The session, its lease and its runs have not changed.
  expect([troubled.item.create, troubled.item.lease]).toEqual([first.item.create, first.item.lease])
  await beat(Date.now())
  await eventually('it says that it is over', async () => !(await read())?.said.trouble)
  await pool.putJob({ name: 'j', schedules: ['@every 1s'], command: command('true') })
  await eventually('it claims', async () => (await pool.results()).length > 0)
})

test('a reason leaves the session on the lease that it was handed over to', async () => {
  const { agent } = await pool.agent('a')
  const { finish } = await startLongRun(pool)
  await skewed('it says so')
  await agent.handOver()
  const { item } = await eventually('it was handed over', read)
  const again = await skewed('it says so again')
  expect(again.item.lease).toBe(item.lease)
  await finish()
})

type Registered = NonNullable<Awaited<ReturnType<typeof read>>>

async function read() {
  const item = await pool.etcd.get(pool.keys.agent('default', 'a'))
  return item && { item, said: registrationSchema.parse(JSON.parse(item.value)) }
}

/** Sets the agent's clock wrong until it reports that. It may see several beacons as one. */
function skewed(what: string): Promise<Registered> {
  return eventually(what, async () => {
    await beat(Date.now() - 60_000)
    const now = await read()
    return now?.said.trouble && now
  })
}

let n = 0
async function beat(time: number): Promise<void> {
  const value = JSON.stringify({ epoch: 1, n: ++n, time })
  await pool.etcd.txn({ compare: [], then: [{ put: pool.keys.beacon, value }] })
}
