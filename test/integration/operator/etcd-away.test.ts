import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { type Cluster, startCluster } from '../../fault/etcd/servers.ts'
import { eventually } from '../../fault/eventually.ts'
import { type Proxy, startProxy } from '../../fault/proxy.ts'
import { cronJob, type OperatorFixture, startOperatorFixture } from '../../fixtures/operator.ts'

/** A directory while etcd cannot be reached. */
let cluster: Cluster
let proxy: Proxy
let fixture: OperatorFixture
beforeAll(async () => {
  cluster = await startCluster(1)
  proxy = await startProxy(cluster.members[0] as { host: string; port: number })
  fixture = await startOperatorFixture({ endpoints: [`http://127.0.0.1:${proxy.port}`] })
})
afterAll(async () => {
  await fixture.close()
  await proxy.close()
  await cluster.stop()
})

const OUTAGE_MS = 12_000

test.each(['refuse', 'blackhole'] as const)(
  'an edit during an outage of etcd (%s) is in force soon after its return',
  async kind => {
    const { write, job } = fixture
    const name = `edited-${kind}`
    const operator = await fixture.operator()
    await write(`${kind}.yaml`, cronJob(name, { template: { script: 'echo old' } }))
    await eventually('the job is stored', () => job(name))
    proxy.set({ kind })
    if (kind === 'refuse') proxy.cut()
    await write(`${kind}.yaml`, cronJob(name, { template: { script: 'echo new' } }))
    await systemClock.sleep(OUTAGE_MS)
    proxy.cut()
    proxy.set({ kind: 'pass' })
    const back = systemClock.monotonic()
    await eventually(
      'the edit is in force',
      async () => (await job(name).catch(() => undefined))?.command.script === 'echo new',
      90_000,
    )
    // Two seconds on an idle machine, and generous here.
    expect(systemClock.monotonic() - back).toBeLessThan(10_000)
    await operator.stop()
  },
)
