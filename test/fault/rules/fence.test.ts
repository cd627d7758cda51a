import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { isAlive } from '../../contract/launcher/launcher.ts'
import { command, type ScriptedPool, startScriptedPool } from '../../fixtures/pool.ts'
import { type Cluster, startCluster } from '../etcd/servers.ts'
import { eventually } from '../eventually.ts'
import { type Proxy, startProxy } from '../proxy.ts'

/**
 * Replays the model's shortest traces for the rules of the fence: agent a is cut from etcd, its lease ends, b buries its run. The fault is
 * what the model calls ALIVE: a process of the run is alive, or starts, after the burial.
 */
let etcd: Cluster
let pool: ScriptedPool
let proxy: Proxy

beforeAll(async () => {
  etcd = await startCluster(1)
})
afterAll(() => etcd.stop())
beforeEach(async () => {
  const [{ host, port } = { host: '', port: 0 }] = etcd.members
  proxy = await startProxy({ host, port })
  pool = await startScriptedPool(etcd)
  await pool.putMember('a')
  await pool.putMember('b')
})
afterEach(async () => {
  proxy.set({ kind: 'pass' })
  proxy.cut()
  await pool.close()
  await pool.wipe()
  await proxy.close()
})

/** A schedule with one due time, and no other for weeks. */
const once = () => ({ schedules: ['@every 1000h'], scheduleChangedAt: Date.now() - 3_600_000_000 })
const placement = { agents: ['a'] }

/** Starts agent b, and agent a behind the proxy. The launcher of a is built without `rule`, or with all rules. */
async function startBoth(rule?: 'drop' | 'kill'): Promise<() => Launcher> {
  let launcher: Launcher | undefined
  await pool.agent('a', {
    endpoints: [`http://${proxy.host}:${proxy.port}`],
    launcher: real => (launcher = real),
    launcherCommand: [await launcherBinary({ tags: rule ? [`without_${rule}`] : [] })],
  })
  await pool.agent('b')
  return () => launcher as Launcher
}

/** Cuts a from etcd, and waits until b has buried this attempt. */
async function cutUntilBuried(attempt: number): Promise<void> {
  proxy.set({ kind: 'blackhole' })
  await eventually('the lease of a ends', async () => !(await pool.etcd.get(pool.keys.agent('default', 'a'))))
  const buried = await eventually('b buries it', async () =>
    (await pool.results()).find(result => result.attempt === attempt),
  )
  expect(buried).toMatchObject({ outcome: 'Lost', reason: 'AgentLost', agent: 'a', final: true })
  expect(await pool.actives()).toEqual([])
}

describe('KILL: the fence sends SIGKILL, however long the grace period of the run is', () => {
  /** The command of a ignores SIGTERM. Returns whether it is alive after its burial. */
  async function replay(without?: 'kill'): Promise<boolean> {
    await startBoth(without)
    await pool.putJob({
      name: 'stubborn',
      ...once(),
      command: command(`trap '' TERM; echo $$ >> ${pool.truth}; while :; do sleep 0.2; done`, {
        placement,
        terminationGracePeriodSeconds: 600,
      }),
    })
    const [pid] = await eventually('it runs', async () => {
      const pids = (await pool.ran()).map(Number)
      return pids.length > 0 && pids
    })
    await cutUntilBuried(1)
    return isAlive(pid ?? 0)
  }

  test('with the rule, the process is dead when its run is buried', async () => {
    expect(await replay()).toBe(false)
  })
  test('without the rule, the process is alive after the burial', async () => {
    expect(await replay('kill')).toBe(true)
  })
})

describe('DROP: the fence drops armed runs', () => {
  /** Agent a has armed a retry that is due in ten seconds. Returns the attempts that have started once that instant has passed. */
  async function replay(without?: 'drop'): Promise<string[]> {
    const launcher = await startBoth(without)
    await pool.putJob({
      name: 'again',
      ...once(),
      command: command(`echo $SHELLCRON_ATTEMPT >> ${pool.truth}; exit 1`, { placement, backoffLimit: 1 }),
    })
    const isArmed = async () => (await launcher().runs()).some(({ state }) => state === 'armed')
    const { notBefore } = await eventually(
      'the first attempt has ended, and the second is armed',
      async () => {
        const [active] = await pool.actives()
        return active?.attempt === 2 && (await isArmed()) && active
      },
    )
    await cutUntilBuried(2)
    expect(await pool.ran()).toEqual(['1'])
    await eventually('the instant has passed, and nothing is armed or running', async () => {
      const runs = await launcher().runs()
      return Date.now() > notBefore + 500 && runs.every(({ state }) => state === 'ended')
    })
    return pool.ran()
  }

  test('with the rule, an armed attempt that was buried never starts', async () => {
    expect(await replay()).toEqual(['1'])
  })
  test('without the rule, it starts after its burial', async () => {
    expect(await replay('drop')).toEqual(['1', '2'])
  })
})
