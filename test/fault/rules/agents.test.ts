import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { rules } from '../../../agent/rules.ts'
import { scheduledRunId } from '../../../core/keys.ts'
import type { Result } from '../../../core/records/state.ts'
import { systemClock } from '../../../runtime/clock.ts'
import { type EtcdCluster, startEtcd } from '../../controlplane/etcd.ts'
import { command, type HandPool, handPool } from '../../fixtures/pool.ts'
import { eventually } from '../eventually.ts'

/** Counterexamples of the protocol's model for the rules that are an agent's own, replayed with real agents and launchers. */
const TTL_SECONDS = 5
let etcd: EtcdCluster
let pool: HandPool
let dir: string
let truth: string
beforeAll(async () => {
  etcd = await startEtcd()
})
afterAll(() => etcd.stop())
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-rules-'))
  truth = join(dir, 'ran')
  pool = await handPool(etcd, TTL_SECONDS)
  await pool.putMember('a')
  await pool.putMember('b')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await pool.close()
  await pool.wipe()
  await rm(dir, { recursive: true, force: true })
})

const starts = async () =>
  (await readFile(truth, 'utf8').catch(() => '')).split('\n').filter(line => line !== '')
const once = { schedules: ['@every 1h'], scheduleChangedAt: Date.now() - 7_200_000 }
const resultOf = async (name: string): Promise<Result | undefined> =>
  (await pool.results()).find(result => result.name === name && result.outcome !== 'Missed')
/** Longer than any TTL and its rounds of looking. */
const LONG_MS = 4 * TTL_SECONDS * 1_000

describe('BURYLVL: the dead are looked for, not only seen to die', () => {
  /** A claims and dies; its lease ends while B is away too; B comes back. */
  async function replay(): Promise<Result | undefined> {
    await pool.putJob({
      name: 'j',
      ...once,
      command: command(`echo x >> ${truth}; exec sleep 600`, { placement: { agents: ['a'] } }),
    })
    const a = await pool.agent('a')
    await eventually('it runs', async () => (await starts()).length === 1)
    await a.crash()
    const key = pool.keys.agent('default', 'a')
    await eventually('its lease ends', async () => (await pool.etcd.get(key)) === undefined, 60_000)
    await pool.agent('b')
    const until = systemClock.monotonic() + LONG_MS
    return eventually(
      'it is buried, or is not',
      async () => {
        const result = await resultOf('j')
        return result ?? (systemClock.monotonic() > until ? ({} as Result) : undefined)
      },
      60_000,
    )
  }
  test('with it the run is Lost', async () => {
    expect(await replay()).toMatchObject({ outcome: 'Lost', reason: 'AgentLost' })
    expect(await pool.actives()).toEqual([])
  })
  test('without it the run is active for ever', async () => {
    vi.spyOn(rules, 'buriesUnseenDeaths').mockReturnValue(false)
    expect((await replay())?.outcome).toBeUndefined()
    expect(await pool.actives()).toHaveLength(1)
  })
})

describe('RECON: an entry of mine that nobody knows is settled', () => {
  /** A claim of A, whose answer was lost, is applied after A has re-read. */
  async function replay(): Promise<Result | undefined> {
    await pool.agent('a')
    const agentKey = pool.keys.agent('default', 'a')
    await pool.putJob({ name: 'first', command: command('true') })
    await eventually('it has taken stock, and claims', () => resultOf('first'))
    const session = (await pool.etcd.get(agentKey))?.create
    await pool.putJob({ name: 'j', schedules: ['@every 8000h'], command: command(`echo x >> ${truth}`) })
    const ref = { pool: 'default', kind: 'job' as const, namespace: 'test', name: 'j', target: '-' }
    const time = 1_000
    const run = scheduledRunId(ref, time)
    const active = {
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
      session,
      instance: 'i',
    }
    const cell = { uid: 'uid-1', lastFire: Date.now(), active: [{ run, agent: 'a', attempt: 1 }] }
    await pool.etcd.txn({
      compare: [],
      then: [
        { put: pool.keys.cell(ref), value: JSON.stringify(cell) },
        { put: pool.keys.active('default', 'a', run), value: JSON.stringify(active) },
      ],
    })
    const until = systemClock.monotonic() + LONG_MS
    return eventually(
      'it is settled, or is not',
      async () => {
        const result = await resultOf('j')
        return result ?? (systemClock.monotonic() > until ? ({} as Result) : undefined)
      },
      60_000,
    )
  }
  test('with it the run is Lost, and its cell is free', async () => {
    expect(await replay()).toMatchObject({ outcome: 'Lost', reason: 'ClaimUnclear' })
    expect((await pool.cell('j'))?.active).toEqual([])
    expect(await starts()).toEqual([])
  })
  test('without it the run is active for ever', async () => {
    vi.spyOn(rules, 'settlesUnknown').mockReturnValue(false)
    expect((await replay())?.outcome).toBeUndefined()
    expect(await pool.actives()).toHaveLength(1)
  })
})

describe('INST: a claimed run is armed again only by the launcher that was told', () => {
  /** A claims and starts; the machine reboots within the lease; A resumes its session. */
  async function replay(): Promise<{ result: Result; starts: number }> {
    await pool.putJob({
      name: 'j',
      ...once,
      command: command(`echo x >> ${truth}; [ -e ${truth}.2 ] || { touch ${truth}.2; exec sleep 600; }`),
    })
    const a = await pool.agent('a')
    await eventually('it runs', async () => (await starts()).length === 1)
    await a.crash()
    await a.reboot()
    await pool.agent('a')
    const result = await eventually('it ends', () => resultOf('j'), 60_000)
    return { result, starts: (await starts()).length }
  }
  test('with it the run is Lost and was started once', async () => {
    const { result, starts } = await replay()
    expect(result).toMatchObject({ outcome: 'Lost', reason: 'LauncherLost' })
    expect(starts).toBe(1)
  })
  test('without it the run is started twice', async () => {
    vi.spyOn(rules, 'isLauncherThatWasTold').mockReturnValue(true)
    expect((await replay()).starts).toBe(2)
  })
})

test('POLL: what waits starts within two seconds of the end of what it waited for', async () => {
  await pool.agent('a')
  await pool.agent('b')
  await pool.putJob({
    name: 'j',
    concurrencyPolicy: 'Forbid',
    command: command(`echo $(date +%s%N) >> ${truth}; sleep 1.6`),
  })
  await eventually(
    'four runs',
    async () => (await pool.results()).filter(({ outcome }) => outcome === 'Succeeded').length >= 4,
    60_000,
  )
  const runs = (await pool.results())
    .filter(({ outcome }) => outcome === 'Succeeded')
    .sort((x, y) => x.time - y.time)
  const pauses = runs.slice(1).map((run, i) => (run.startedAt ?? 0) - (runs[i]?.endedAt ?? 0))
  // The median, as one of them may meet a busy machine.
  expect(pauses.toSorted((x, y) => x - y)[Math.floor(pauses.length / 2)]).toBeLessThan(2_000)
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(0)
})
