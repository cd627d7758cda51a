import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import type { Txn } from '../../store/etcd/types.ts'
import { type EtcdCluster, startEtcd } from '../controlplane/etcd.ts'
import { command, type HandPool, handPool } from '../fixtures/pool.ts'
import { eventually } from './eventually.ts'

/** A claim is applied, and its answer takes so long that the agent looks meanwhile for entries of its own that nobody knows. */
let etcd: EtcdCluster
let pool: HandPool
let dir: string
let truth: string

beforeAll(async () => {
  etcd = await startEtcd()
})
afterAll(() => etcd.stop())
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-slow-'))
  truth = join(dir, 'ran')
  pool = await handPool(etcd)
  await pool.putMember('a')
})
afterEach(async () => {
  await pool.close()
  await pool.wipe()
  await rm(dir, { recursive: true, force: true })
})

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
      // A moment later it knows what it makes of them.
      if (claimed && prefix === mine) void systemClock.sleep(300).then(looked.resolve)
      return found
    },
  }
}

const ran = async () => (await readFile(truth, 'utf8').catch(() => '')).split('\n').filter(Boolean)

async function ended() {
  const result = await eventually('it ends', async () => (await pool.results())[0])
  await eventually('nothing is active', async () => (await pool.actives()).length === 0)
  return result
}

test('a scheduled run is not given up for it', async () => {
  await pool.putJob({
    name: 'j',
    schedules: ['@every 1000h'],
    scheduleChangedAt: Date.now() - 3_600_000_000,
    command: command(`echo x >> ${truth}`),
  })
  await pool.agent('a', { etcd: slowToAnswer })
  expect(await ended()).toMatchObject({ outcome: 'Succeeded', final: true })
  expect(await ran()).toHaveLength(1)
})

test('a ShellRun is not given up for it', async () => {
  await pool.putRun({ name: 'r', command: command(`echo x >> ${truth}`) })
  await pool.request('run.test.r.-', {
    kind: 'run',
    namespace: 'test',
    name: 'r',
    target: '-',
    uid: 'uid-1',
  })
  await pool.agent('a', { etcd: slowToAnswer })
  expect(await ended()).toMatchObject({ outcome: 'Succeeded', final: true })
  expect(await ran()).toHaveLength(1)
})
