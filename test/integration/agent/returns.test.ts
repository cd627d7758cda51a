import { beforeEach, expect, test } from 'vitest'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { scheduledRunId } from '../../../core/keys.ts'
import type { Active } from '../../../core/records/state.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import type { Txn } from '../../../store/etcd/types.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, type StartedAgent } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** An agent that returns within its lease applies the changes that were made while it was away. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })
beforeEach(() => {
  armed = Promise.withResolvers()
})

const ref = { pool: 'default', kind: 'job' as const, namespace: 'test', name: 'j', target: '-' }
const job = (script: string, over = {}) =>
  pool.putJob({ name: 'j', schedules: ['@every 1000h'], ...over, command: command(script) })
const put = (key: string, value: unknown) =>
  pool.etcd.txn({ compare: [], then: [{ put: key, value: JSON.stringify(value) }] })
const result = async () => (await pool.results())[0]

/** Adds to the active entry of the only attempt. */
async function mark(over: Partial<Active>): Promise<void> {
  const [active] = await pool.actives()
  await put(pool.keys.active('default', 'a', active?.run ?? ''), { ...active, ...over })
}

/** Puts the first attempt of a run, by default one that starts in an hour, as a claim does. Its owner is not running. */
async function claimedAhead(owner: StartedAgent, time = Date.now() + 3_600_000): Promise<void> {
  const registration = await eventually('a session', () => pool.etcd.get(pool.keys.agent('default', 'a')))
  const { instance } = JSON.parse(registration.value)
  await owner.crash()
  const run = scheduledRunId(ref, time, 0)
  await put(pool.keys.cell(ref), {
    uid: 'uid-1',
    lastFire: time,
    active: [{ run, agent: 'a', attempt: 1 }],
  })
  await put(pool.keys.active('default', 'a', run), {
    run,
    kind: 'job',
    uid: 'uid-1',
    generation: 1,
    namespace: 'test',
    name: 'j',
    target: '-',
    time,
    notBefore: time,
    attempt: 1,
    session: registration.create,
    instance,
  })
}

/** Starts the agent until it has armed the run, and ends it again. */
async function armedAhead(): Promise<void> {
  await claimedAhead(await pool.agent('a'))
  const back = await pool.agent('a', { launcher: watched })
  await armed.promise
  await back.crash()
}

let armed: PromiseWithResolvers<void>
const watched = (real: Launcher): Launcher => ({
  ...real,
  arm: runs => {
    real.arm(runs)
    void real.runs().then(() => armed.resolve())
  },
})

test('a run that was marked to be killed meanwhile is killed', async () => {
  await job(`echo x >> ${pool.truth}; exec sleep 600`, { scheduleChangedAt: Date.now() - 3_600_000_000 })
  const a = await pool.agent('a')
  await eventually('it runs', async () => (await pool.ran()).length === 1)
  await a.crash()
  await mark({ kill: { reason: 'Requested' } })
  await pool.agent('a')
  expect(await eventually('it ends', result)).toMatchObject({ outcome: 'Killed', reason: 'Requested' })
})

test('a claimed run that was marked to be killed meanwhile is never started', async () => {
  await job(`echo x >> ${pool.truth}`)
  await claimedAhead(await pool.agent('a'))
  await mark({ kill: { reason: 'Requested' }, notBefore: Date.now() })
  await pool.agent('a')
  expect(await eventually('it ends', result)).toMatchObject({ outcome: 'Killed', reason: 'Requested' })
  expect(await pool.ran()).toEqual([])
})

test('an armed run of a job that was suspended meanwhile is cancelled', async () => {
  await job('true')
  await armedAhead()
  await job('true', { suspended: true, generation: 2 })
  await pool.agent('a')
  expect(await eventually('it ends', result)).toMatchObject({ outcome: 'Cancelled', reason: 'Suspended' })
})

test('an armed run of a job that was edited meanwhile, and is edited again, is armed again', async () => {
  await job('true')
  await armedAhead()
  await job('true', { generation: 2 })
  const isRestamp = ({ then }: Txn) =>
    then.length === 1 && then.some(op => 'put' in op && op.put.startsWith(pool.keys.actives('default', 'a')))
  let edited = false
  const between = (real: Etcd): Etcd => ({
    ...real,
    batch: async (txns, signal) => {
      if (!edited && txns.some(isRestamp)) {
        edited = true
        await job('true', { generation: 3 })
      }
      return real.batch(txns, signal)
    },
  })
  await pool.agent('a', { etcd: between })
  await eventually('it is of the last template', async () => (await pool.actives())[0]?.generation === 3)
  expect(await pool.results()).toEqual([])
})

const OLD = Date.now() - 11_700

test.each([
  ['startingDeadlineSeconds', { startingDeadlineSeconds: 5 }, 'DeadlineExceeded'],
  ['catchUp None', { catchUp: 'None' as const }, 'NotCaughtUp'],
])('a claimed run that was not started in time is Missed by %s', async (_, over, reason) => {
  await job(`echo x >> ${pool.truth}`, { ...over, suspended: true })
  await claimedAhead(await pool.agent('a'), OLD)
  await job(`echo x >> ${pool.truth}`, over)
  await pool.agent('a')
  expect(await eventually('it ends', result)).toMatchObject({
    outcome: 'Missed',
    reason,
    time: OLD,
    final: true,
  })
  expect(await pool.ran()).toEqual([])
  expect(await pool.actives()).toEqual([])
  expect((await pool.cell('j'))?.active).toEqual([])
})

test('a claimed run that was not started in time and may be caught up is started', async () => {
  await job(`echo x >> ${pool.truth}`, { suspended: true })
  await claimedAhead(await pool.agent('a'), OLD)
  await job(`echo x >> ${pool.truth}`, { catchUp: 'Latest' })
  await pool.agent('a')
  expect(await eventually('it ends', result)).toMatchObject({ outcome: 'Succeeded', time: OLD })
})
