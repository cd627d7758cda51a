import { expect, test } from 'vitest'
import { rank } from '../../../core/fires/placement.ts'
import { scheduledRunId } from '../../../core/keys.ts'
import { eventually } from '../../fault/eventually.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Agents beyond the first three ranks claim times that are offered to them. No agent exceeds its limit of runs. */
const pool = poolForEach({ ttlSeconds: 30 })

const HOUR = 3_600_000

/** Starts four agents without a free slot. Resolves to the last one in rank for the job. */
async function fourAgents(): Promise<string> {
  const names = ['a', 'b', 'c', 'd']
  for (const name of names) await pool.putMember(name, { maxConcurrentRuns: 0 })
  for (const name of names) await pool.agent(name)
  await eventually(
    'all have a session',
    async () => (await pool.etcd.list(pool.keys.agents('default'))).items.length === 4,
  )
  return rank('uid-1', names)[3] ?? ''
}

/** Puts a job whose last time is unclaimed, and offers that time. `settledTo`: the frontier of its cell, which the agents have not read yet. */
async function offer(settledTo: number): Promise<void> {
  const now = Date.now()
  const time = now - (now % HOUR)
  const ref = { pool: 'default', kind: 'job' as const, namespace: 'test', name: 'j', target: '-' }
  await pool.etcd.txn({
    compare: [],
    then: [
      {
        put: pool.keys.cell(ref),
        value: JSON.stringify({ uid: 'uid-1', lastFire: settledTo, active: [] }),
      },
    ],
  })
  await pool.putJob({
    name: 'j',
    schedules: ['@every 1h'],
    scheduleChangedAt: time - 10 * HOUR,
    command: command(`echo x >> ${pool.truth}`),
  })
  const run = scheduledRunId(ref, time, 0)
  const of = { namespace: 'test', name: 'j', target: '-', uid: 'uid-1', time }
  await pool.request(`offer.${run}`, { kind: 'offer', ...of })
}

test('an agent whose copy of the cell is stale takes an offer', async () => {
  const last = await fourAgents()
  await pool.putMember(last)
  const now = Date.now()
  await offer(now - (now % HOUR) - HOUR)
  await eventually('it runs', async () => (await pool.ran()).length === 1)
  expect(await eventually('it is recorded', async () => (await pool.results())[0])).toMatchObject({
    agent: last,
  })
})

test('an offer that came while the agent had no free slot is taken once it has', async () => {
  const last = await fourAgents()
  const now = Date.now()
  await offer(now - (now % HOUR) - HOUR)
  await eventually('all have seen it', () => Date.now() > now + 1_000)
  await pool.putMember(last, { maxConcurrentRuns: 1 })
  await eventually('it runs', async () => (await pool.ran()).length === 1)
  expect(await eventually('it is recorded', async () => (await pool.results())[0])).toMatchObject({
    agent: last,
  })
})

test('times that come due together do not exceed the limit of runs of an agent', async () => {
  await pool.putMember('a', { maxConcurrentRuns: 2 })
  await pool.agent('a')
  const due = { schedules: ['@every 1h'], scheduleChangedAt: Date.now() - 2 * HOUR }
  const jobs = Array.from({ length: 10 }, (_, index) => `j${index}`)
  await Promise.all(
    jobs.map(name =>
      pool.putJob({
        name,
        uid: name,
        ...due,
        command: command(`echo $SHELLCRON_JOB >> ${pool.truth}; exec sleep 60`),
      }),
    ),
  )
  await eventually('two run', async () => (await pool.ran()).length >= 2)
  const seen = Date.now()
  await eventually('the others were checked again', () => Date.now() > seen + 2_000)
  expect(await pool.ran()).toHaveLength(2)
  expect(await pool.actives()).toHaveLength(2)
})
