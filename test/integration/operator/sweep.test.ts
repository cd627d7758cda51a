import { expect, test } from 'vitest'
import { bury } from '../../../operator/upkeep/bury-in-dead-pools.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

const bench = operatorForEach()

const agent = (name: string, spec: object = {}) => object('ShellAgent', name, { external: {}, ...spec })

test('without agents the times of a job every second are Missed, in ranges, in order and without a gap', async () => {
  const { context } = await bench.operator()
  await bench.write('w1.yaml', agent('w1', { cordoned: true }))
  await bench.register('w1')
  await bench.write('a.yaml', cronJob('a', { schedule: '* * * * * *' }))
  const entry = await eventually('the entry', () => bench.job('a'))
  const [missed] = await eventually('a range', async () => {
    const results = await bench.results()
    return results.length > 0 && results
  })
  const first = Math.floor(entry.scheduleChangedAt / 1_000) * 1_000 + 1_000
  expect(missed).toMatchObject({ outcome: 'Missed', range: { first }, final: true })
  expect(missed?.agent).toBeUndefined()
  expect(missed?.range?.count).toBe(((missed?.time ?? 0) - first) / 1_000 + 1)
  expect((await bench.cell('a'))?.lastFire).toBe(missed?.time)
  expect(context.mirrors.members.size).toBe(1)
  expect(await bench.requests()).toEqual([])
})

test('a time that stays unclaimed although an agent lives is offered', async () => {
  await bench.operator()
  await bench.write('w1.yaml', agent('w1'))
  await bench.register('w1')
  await bench.write('a.yaml', cronJob('a', { schedule: '@every 2s' }))
  const [request] = await eventually('an offer', async () => {
    const requests = await bench.requests()
    return requests.length > 0 && requests
  })
  expect(request).toMatchObject({ kind: 'offer', namespace: NS, name: 'a', target: '-' })
})

test('with All each member has a cell while it is a target', async () => {
  await bench.operator()
  await bench.write('w1.yaml', agent('w1'))
  await bench.write('a.yaml', cronJob('a', { target: { mode: 'All' } }))
  const entry = await eventually('the entry', async () => {
    const entry = await bench.job('a')
    return entry && !entry.suspended && entry
  })
  expect((await bench.cell('a', 'w1'))?.lastFire).toBe(entry.scheduleChangedAt)
  const before = Date.now()
  await bench.write('w2.yaml', agent('w2'))
  const second = await eventually('the second cell', () => bench.cell('a', 'w2'))
  expect(second.lastFire).toBeGreaterThanOrEqual(before)

  const run = `${NS}.a.1000.w1`
  const key = bench.keys.active('default', 'w1', run)
  const cellKey = bench.keys.cell({ pool: 'default', kind: 'job', namespace: NS, name: 'a', target: 'w1' })
  const cell = { uid: entry.uid, lastFire: entry.scheduleChangedAt }
  await bench.put(key, active({ run, uid: entry.uid, target: 'w1' }))
  await bench.put(cellKey, { ...cell, active: [{ run, agent: 'w1', attempt: 1 }] })
  await bench.remove('w1.yaml')
  await eventually('its run is told to end', async () =>
    (await bench.etcd.get(key))?.value.includes('TargetGone'),
  )
  expect(await bench.cell('a', 'w1')).toMatchObject({ retired: true })
  await bench.delete(key)
  await bench.put(cellKey, { ...cell, active: [], retired: true })
  await eventually('its cell is gone', async () => (await bench.cell('a', 'w1')) === undefined)
  expect(await bench.cell('a', 'w2')).toBeDefined()
})

test('without agents the operator buries, and the retry belongs to nobody', async () => {
  const { context } = await bench.operator()
  await bench.write('a.yaml', cronJob('a', { template: { backoffLimit: 1 } }))
  const { uid } = await eventually('the entry', () => bench.job('a'))
  const run = `${NS}.a.1000`
  await bench.put(bench.keys.active('default', 'w1', run), active({ run, uid, target: '-' }))
  const cellKey = bench.keys.cell({ pool: 'default', kind: 'job', namespace: NS, name: 'a', target: '-' })
  await bench.put(cellKey, { uid, lastFire: 1_000, active: [{ run, agent: 'w1', attempt: 1 }] })
  await eventually('it is seen', () => context.mirrors.actives.size === 1)
  await eventually('the job is seen', () => context.mirrors.jobs.size === 1)
  await bury(context)
  expect(await bench.results()).toMatchObject([{ outcome: 'Lost', reason: 'AgentLost', final: false }])
  expect(await bench.etcd.get(bench.keys.active('default', 'w1', run))).toBeUndefined()
  const pending = await bench.etcd.get(bench.keys.active('default', '-', run))
  expect(JSON.parse(pending?.value ?? '{}')).toMatchObject({ attempt: 2, session: 0 })
  expect((await bench.cell('a'))?.active).toEqual([{ run, agent: '-', attempt: 2 }])
})

test('a restored snapshot begins a new epoch: every job counts from now, and the gap is Missed', async () => {
  const first = await bench.operator()
  await bench.write('a.yaml', cronJob('a', { schedule: '@every 1s' }))
  const before = await eventually('the entry', () => bench.job('a'))
  await first.stop()
  await eventually('times come due', () => Date.now() > before.scheduleChangedAt + 1_500)
  const { value = '' } = (await bench.etcd.get(bench.keys.beacon)) ?? {}
  await bench.put(bench.keys.beacon, { ...JSON.parse(value), n: 0 })
  const { context } = await bench.operator()
  const after = await eventually('the entry of the new epoch', async () => {
    const entry = await bench.job('a')
    return entry && entry.epoch > before.epoch && !entry.suspended && entry
  })
  expect(after.epoch).toBe(context.epoch())
  expect(after.scheduleChangedAt).toBeGreaterThan(before.scheduleChangedAt)
  expect((await bench.results()).map(({ reason }) => reason)).toContain('SnapshotRestored')
})

function active(of: { run: string; uid: string; target: string }) {
  return {
    ...of,
    kind: 'job',
    generation: 1,
    namespace: NS,
    name: 'a',
    time: 1_000,
    notBefore: 1_000,
    attempt: 1,
    session: 1,
    instance: 'i1',
  }
}
