import { afterEach, describe, expect, test, vi } from 'vitest'
import { guards } from '../../../agent/model-guards.ts'
import type { Result } from '../../../core/records/state.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import { EtcdAmbiguous } from '../../../store/etcd/errors.ts'
import type { Txn } from '../../../store/etcd/types.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'
import { eventually } from '../eventually.ts'

/**
 * Replays the shortest counterexamples of the protocol's model for the agent's guards, with real agents and launchers. With the guard the
 * protocol holds. Without it, the violation happens that the model names.
 */
const pool = poolForEach({ members: ['a', 'b'] })
afterEach(() => vi.restoreAllMocks())

/** A job with one time that is due now, and no other for weeks. */
const once = () => ({ name: 'j', schedules: ['@every 1000h'], scheduleChangedAt: Date.now() - 3_600_000_000 })
const starts = async () => (await pool.ran()).length
const result = async (): Promise<Result | undefined> => (await pool.results())[0]
const registrationOf = (agent: string) => pool.etcd.get(pool.keys.agent('default', agent))

/** The pool's TTL. Living sessions follow it. */
async function setTtl(ttlSeconds: number): Promise<void> {
  const value = JSON.stringify({ ttlSeconds, paused: false, draining: false, sealKey: '' })
  await pool.etcd.txn({ compare: [], then: [{ put: pool.keys.pool('default'), value }] })
}

describe('BURYLVL: agents look for dead agents, not only for deletions of registrations', () => {
  /** A claims and dies. Its lease ends while B is away. B returns and resumes its session. */
  async function replay(isOver: () => boolean | Promise<boolean>): Promise<void> {
    await setTtl(10)
    await pool.putJob({
      ...once(),
      command: command(`echo x >> ${pool.truth}; exec sleep 600`, { placement: { agents: ['a'] } }),
    })
    const a = await pool.agent('a')
    await eventually('it runs', async () => (await starts()) === 1)
    await a.crash()
    await setTtl(20)
    const b = await pool.agent('b')
    await eventually('b has a session', () => registrationOf('b'))
    await b.crash()
    await eventually('the lease of a ends', async () => !(await registrationOf('a')))
    vi.mocked(guards.buriesUnseenDeaths).mockClear()
    await pool.agent('b')
    await eventually('it is over', isOver, 60_000)
  }

  test('with the guard the run is Lost', async () => {
    vi.spyOn(guards, 'buriesUnseenDeaths')
    await replay(async () => (await result()) !== undefined)
    expect(await result()).toMatchObject({ outcome: 'Lost', reason: 'AgentLost', agent: 'a', final: true })
    expect(await pool.actives()).toEqual([])
    expect((await pool.cell('j'))?.active).toEqual([])
  })
  test('without the guard the run is active forever', async () => {
    const looks = vi.spyOn(guards, 'buriesUnseenDeaths').mockReturnValue(false)
    // Once at its start, and once a TTL later.
    await replay(() => looks.mock.calls.length >= 2)
    expect(await result()).toBeUndefined()
    expect(await pool.actives()).toHaveLength(1)
  })
})

describe('RECON: an agent ends its own active entries that neither it nor its launcher knows', () => {
  /** A's claim is not answered. A reads etcd and does not find it. Only then is the claim applied. */
  async function replay(isOver: () => boolean | Promise<boolean>): Promise<void> {
    let late: readonly Txn[] | undefined
    const applied = Promise.withResolvers<void>()
    const mine = pool.keys.actives('default', 'a')
    const isClaim = ({ then }: Txn) => then.some(op => 'put' in op && op.put.startsWith(mine))
    const slow = (real: Etcd): Etcd => ({
      ...real,
      batch: async (txns, signal) => {
        if (late || !txns.some(isClaim)) return real.batch(txns, signal)
        late = txns
        return txns.map(() => ({ ambiguous: new EtcdAmbiguous('Lost', 'no answer') }))
      },
      get: async (key, signal) => {
        const item = await real.get(key, signal)
        if (late && key.startsWith(mine)) {
          expect(item).toBeUndefined()
          await real.batch(late)
          applied.resolve()
        }
        return item
      },
    })
    await pool.putJob({ ...once(), catchUp: 'Latest', command: command(`echo x >> ${pool.truth}`) })
    await pool.agent('a', { etcd: slow })
    await applied.promise
    expect(await pool.actives()).toHaveLength(1)
    vi.mocked(guards.settlesUnknown).mockClear()
    await eventually('it is over', isOver)
  }

  test('with the guard the run is Lost, and its cell is free', async () => {
    vi.spyOn(guards, 'settlesUnknown')
    await replay(async () => (await result()) !== undefined)
    expect(await result()).toMatchObject({ outcome: 'Lost', reason: 'ClaimUnclear', final: true })
    expect(await pool.actives()).toEqual([])
    expect((await pool.cell('j'))?.active).toEqual([])
    expect(await starts()).toBe(0)
  })
  test('without the guard the run is active forever', async () => {
    const settles = vi.spyOn(guards, 'settlesUnknown').mockReturnValue(false)
    await replay(() => settles.mock.calls.length >= 2)
    expect(await result()).toBeUndefined()
    expect(await pool.actives()).toHaveLength(1)
    expect((await pool.cell('j'))?.active).toHaveLength(1)
    expect(await starts()).toBe(0)
  })
})

describe('INST: a claimed run is armed again only by the launcher instance that was told to start it', () => {
  /** A claims and starts. The machine reboots. A returns within its lease and resumes its session. Resolves to the run's result. */
  async function replay(): Promise<Result> {
    await setTtl(30)
    await pool.putJob({
      ...once(),
      command: command(`echo x >> ${pool.truth}; [ $(wc -l < ${pool.truth}) = 2 ] || exec sleep 600`),
    })
    const a = await pool.agent('a')
    await eventually('it runs', async () => (await starts()) === 1)
    const session = (await registrationOf('a'))?.create
    await a.crash()
    await a.reboot()
    await pool.agent('a')
    const end = await eventually('it ends', result, 60_000)
    expect((await registrationOf('a'))?.create).toBe(session)
    return end
  }

  test('with the guard the run is Lost, and was started once', async () => {
    expect(await replay()).toMatchObject({ outcome: 'Lost', reason: 'LauncherLost', final: true })
    expect(await starts()).toBe(1)
  })
  test('without the guard the run is started twice', async () => {
    vi.spyOn(guards, 'isLauncherThatWasTold').mockReturnValue(true)
    await replay()
    expect(await starts()).toBe(2)
  })
})

describe('LATE: a claimed time is judged by deadline and catchUp again before it is armed', () => {
  /** Etcd commits A's claim only when the deadline of its time has passed. Resolves to the run's result. */
  async function replay(): Promise<Result> {
    const { schedules, scheduleChangedAt, name } = once()
    const period = 3_600_000_000
    const time = Math.floor(Date.now() / period) * period
    const startingDeadlineSeconds = Math.ceil((Date.now() - time) / 1_000) + 10
    const mine = pool.keys.actives('default', 'a')
    const isClaim = ({ then }: Txn) => then.some(op => 'put' in op && op.put.startsWith(mine))
    const slow = (real: Etcd): Etcd => ({
      ...real,
      batch: async (txns, signal) => {
        const isHeld = txns.some(isClaim)
        if (isHeld)
          await eventually('the deadline', () => Date.now() > time + startingDeadlineSeconds * 1_000)
        return real.batch(txns, signal)
      },
    })
    await pool.putJob({
      name,
      schedules,
      scheduleChangedAt: Math.min(scheduleChangedAt, time - 1),
      startingDeadlineSeconds,
      command: command(`echo x >> ${pool.truth}`),
    })
    await pool.agent('a', { etcd: slow })
    return eventually('it ends', result, 60_000)
  }

  test('with the guard the run is Missed, and was not started', async () => {
    expect(await replay()).toMatchObject({
      outcome: 'Missed',
      reason: 'DeadlineExceeded',
      attempt: 1,
      final: true,
    })
    expect(await starts()).toBe(0)
    expect(await pool.actives()).toEqual([])
    expect((await pool.cell('j'))?.active).toEqual([])
  })
  test('without the guard the run starts past its deadline', async () => {
    vi.spyOn(guards, 'judgesBeforeArming').mockReturnValue(false)
    expect(await replay()).toMatchObject({ outcome: 'Succeeded' })
    expect(await starts()).toBe(1)
  })
})
