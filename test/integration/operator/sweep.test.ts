import { expect, test } from 'vitest'
import { bury } from '../../../operator/upkeep/bury-in-dead-pools.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

const fixture = operatorForEach()

const agent = (name: string, spec: object = {}) => object('ShellAgent', name, { external: {}, ...spec })

test('without agents the times of a job every second are Missed, in ranges, in order and without a gap', async () => {
  const { context } = await fixture.operator()
  await fixture.write('w1.yaml', agent('w1', { cordoned: true }))
  await fixture.register('w1')
  await fixture.write('a.yaml', cronJob('a', { schedule: '* * * * * *' }))
  const entry = await eventually('the entry', () => fixture.job('a'))
  const [missed] = await eventually('a range', async () => {
    const results = await fixture.results()
    return results.length > 0 && results
  })
  const first = Math.floor(entry.scheduleChangedAt / 1_000) * 1_000 + 1_000
  expect(missed).toMatchObject({ outcome: 'Missed', range: { first }, final: true })
  expect(missed?.agent).toBeUndefined()
  expect(missed?.range?.count).toBe(((missed?.time ?? 0) - first) / 1_000 + 1)
  expect((await fixture.cell('a'))?.lastFire).toBe(missed?.time)
  expect(context.mirrors.members.size).toBe(1)
  expect(await fixture.requests()).toEqual([])
})

test('a time that stays unclaimed although an agent lives is offered', async () => {
  await fixture.operator()
  await fixture.write('w1.yaml', agent('w1'))
  await fixture.register('w1')
  await fixture.write('a.yaml', cronJob('a', { schedule: '@every 2s' }))
  const [request] = await eventually('an offer', async () => {
    const requests = await fixture.requests()
    return requests.length > 0 && requests
  })
  expect(request).toMatchObject({ kind: 'offer', namespace: NS, name: 'a', target: '-' })
})

test('with All each member has a cell while it is a target', async () => {
  await fixture.operator()
  await fixture.write('w1.yaml', agent('w1'))
  await fixture.write('a.yaml', cronJob('a', { target: { mode: 'All' } }))
  const entry = await eventually('the entry', async () => {
    const entry = await fixture.job('a')
    return entry && !entry.suspended && entry
  })
  expect((await fixture.cell('a', 'w1'))?.lastFire).toBe(entry.scheduleChangedAt)
  const before = Date.now()
  await fixture.write('w2.yaml', agent('w2'))
  const second = await eventually('the second cell', () => fixture.cell('a', 'w2'))
  expect(second.lastFire).toBeGreaterThanOrEqual(before)

  const run = `${NS}.a.1000.w1`
  const key = fixture.keys.active('default', 'w1', run)
  const cellKey = fixture.keys.cell({ pool: 'default', kind: 'job', namespace: NS, name: 'a', target: 'w1' })
  const cell = { uid: entry.uid, lastFire: entry.scheduleChangedAt }
  await fixture.put(key, active({ run, uid: entry.uid, target: 'w1' }))
  await fixture.put(cellKey, { ...cell, active: [{ run, agent: 'w1', attempt: 1 }] })
  await fixture.remove('w1.yaml')
  await eventually('its run is told to end', async () =>
    (await fixture.etcd.get(key))?.value.includes('TargetGone'),
  )
  expect(await fixture.cell('a', 'w1')).toMatchObject({ retired: true })
  await fixture.delete(key)
  await fixture.put(cellKey, { ...cell, active: [], retired: true })
  await eventually('its cell is gone', async () => (await fixture.cell('a', 'w1')) === undefined)
  expect(await fixture.cell('a', 'w2')).toBeDefined()
})

test('without agents the operator buries, and the retry belongs to nobody', async () => {
  const { context } = await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', { template: { backoffLimit: 1 } }))
  const { uid } = await eventually('the entry', () => fixture.job('a'))
  const run = `${NS}.a.1000`
  await fixture.put(fixture.keys.active('default', 'w1', run), active({ run, uid, target: '-' }))
  const cellKey = fixture.keys.cell({ pool: 'default', kind: 'job', namespace: NS, name: 'a', target: '-' })
  await fixture.put(cellKey, { uid, lastFire: 1_000, active: [{ run, agent: 'w1', attempt: 1 }] })
  await eventually('it is seen', () => context.mirrors.actives.size === 1)
  await eventually('the job is seen', () => context.mirrors.jobs.size === 1)
  await bury(context)
  expect(await fixture.results()).toMatchObject([{ outcome: 'Lost', reason: 'AgentLost', final: false }])
  expect(await fixture.etcd.get(fixture.keys.active('default', 'w1', run))).toBeUndefined()
  const pending = await fixture.etcd.get(fixture.keys.active('default', '-', run))
  expect(JSON.parse(pending?.value ?? '{}')).toMatchObject({ attempt: 2, session: 0 })
  expect((await fixture.cell('a'))?.active).toEqual([{ run, agent: '-', attempt: 2 }])
})

test('a restored snapshot begins a new epoch: every job counts from now, and the gap is Missed', async () => {
  const first = await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', { schedule: '@every 1s' }))
  const before = await eventually('the entry', () => fixture.job('a'))
  await first.stop()
  await eventually('times come due', () => Date.now() > before.scheduleChangedAt + 1_500)
  const { value = '' } = (await fixture.etcd.get(fixture.keys.beacon)) ?? {}
  await fixture.put(fixture.keys.beacon, { ...JSON.parse(value), n: 0 })
  const { context } = await fixture.operator()
  const after = await eventually('the entry of the new epoch', async () => {
    const entry = await fixture.job('a')
    return entry && entry.epoch > before.epoch && !entry.suspended && entry
  })
  expect(after.epoch).toBe(context.epoch())
  expect(after.scheduleChangedAt).toBeGreaterThan(before.scheduleChangedAt)
  expect((await fixture.results()).map(({ reason }) => reason)).toContain('SnapshotRestored')
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
