import { expect, test } from 'vitest'
import { registrationSchema } from '../../../core/records/state.ts'
import { eventually } from '../../fault/eventually.ts'
import { startLongRun } from '../../fixtures/long-run.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** An agent with a session that claims nothing reports the reason, for its ShellAgent's status. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

test('the registration has the reason while the agent does not claim, and no reason afterwards', async () => {
  await pool.agent('a')
  const first = await eventually('its session', read)
  expect(first.registration).not.toHaveProperty('trouble')
  const troubled = await skewed('it reports the skew')
  expect(troubled.registration).toEqual({
    ...first.registration,
    trouble: { reason: 'ClockSkewed', since: expect.any(Number) },
  })
  // The session, its lease and its runs have not changed.
  expect([troubled.item.create, troubled.item.lease]).toEqual([first.item.create, first.item.lease])
  await beat(Date.now())
  await eventually('it reports that the skew is over', async () => !(await read())?.registration.trouble)
  await pool.putJob({ name: 'j', schedules: ['@every 1s'], command: command('true') })
  await eventually('it claims', async () => (await pool.results()).length > 0)
})

test('reporting a reason keeps the session on the lease of its hand-over', async () => {
  const { agent } = await pool.agent('a')
  const { finish } = await startLongRun(pool)
  await skewed('it reports the skew')
  await agent.handOver()
  const { item } = await eventually('it was handed over', read)
  const again = await skewed('it reports the skew again')
  expect(again.item.lease).toBe(item.lease)
  await finish()
})

type Registered = NonNullable<Awaited<ReturnType<typeof read>>>

async function read() {
  const item = await pool.etcd.get(pool.keys.agent('default', 'a'))
  return item && { item, registration: registrationSchema.parse(JSON.parse(item.value)) }
}

/** Sends skewed beacons until the agent reports ClockSkewed. It may see several beacons as one. */
function skewed(what: string): Promise<Registered> {
  return eventually(what, async () => {
    await beat(Date.now() - 60_000)
    const now = await read()
    return now?.registration.trouble && now
  })
}

let n = 0
async function beat(time: number): Promise<void> {
  const value = JSON.stringify({ epoch: 1, n: ++n, time })
  await pool.etcd.txn({ compare: [], then: [{ put: pool.keys.beacon, value }] })
}
