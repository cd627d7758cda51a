import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

const fixture = operatorForEach()

const everySecond = { schedule: '* * * * * *' }

test('a new job becomes an entry that counts from now', async () => {
  const before = Date.now()
  await fixture.operator()
  await fixture.write(
    'a.yaml',
    cronJob('a', { template: { script: 'echo 1', env: [{ name: 'A', value: 'b' }] } }),
  )
  const entry = await eventually('the entry', () => fixture.job('a'))
  expect(entry).toMatchObject({
    generation: 1,
    namespace: NS,
    schedules: ['0 0 1 1 *'],
    suspended: false,
    command: { script: 'echo 1', env: [{ name: 'A', value: 'b' }], outputLimit: 10_485_760 },
  })
  expect(entry.scheduleChangedAt).toBeGreaterThanOrEqual(before)
})

test('an edit of the template is put into the entry at once; its times continue', async () => {
  await fixture.operator()
  await fixture.write('a.yaml', cronJob('a'))
  const first = await eventually('the entry', () => fixture.job('a'))
  await fixture.write('a.yaml', cronJob('a', { template: { script: 'false' } }))
  const second = await eventually('the new script', async () => {
    const entry = await fixture.job('a')
    return entry?.command.script === 'false' && entry
  })
  expect(second).toMatchObject({
    generation: 2,
    suspended: false,
    uid: first.uid,
    scheduleChangedAt: first.scheduleChangedAt,
  })
})

test('an edit of the schedule settles due times, then counts from the edit', async () => {
  await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', everySecond))
  const first = await eventually('the entry', () => fixture.job('a'))
  await eventually('times come due', () => Date.now() > first.scheduleChangedAt + 2_000)
  await fixture.write('a.yaml', cronJob('a', { schedule: '@every 2h' }))
  const second = await eventually('the new schedule', async () => {
    const entry = await fixture.job('a')
    return entry?.schedules[0] === '@every 2h' && !entry.suspended && entry
  })
  expect(second.editing).toBeUndefined()
  const cell = await fixture.cell('a')
  const ranges = await fixture.results()
  const settled = ranges.reduce((sum, { range }) => sum + (range?.count ?? 1), 0)
  const at = second.scheduleChangedAt
  expect(settled).toBe(Math.floor(at / 1_000) - Math.floor(first.scheduleChangedAt / 1_000))
  expect(ranges.every(({ outcome }) => outcome === 'Missed')).toBe(true)
  expect(ranges.some(({ reason }) => reason === 'Rescheduled')).toBe(true)
  expect(cell?.lastFire).toBe(Math.floor(at / 1_000) * 1_000)
})

test('suspend settles due times, resume counts from then: times between have no outcome', async () => {
  await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', everySecond))
  await eventually('the entry', () => fixture.job('a'))
  await fixture.write('a.yaml', cronJob('a', { ...everySecond, spec: { suspend: true } }))
  const suspended = await eventually('suspended', async () => {
    const entry = await fixture.job('a')
    return entry?.suspended && !entry.editing && entry
  })
  const lastFire = (await fixture.cell('a'))?.lastFire ?? suspended.scheduleChangedAt
  await eventually('time passes', () => Date.now() > lastFire + 2_500)
  const before = await fixture.results()
  await fixture.write('a.yaml', cronJob('a', everySecond))
  const resumed = await eventually('resumed', async () => {
    const entry = await fixture.job('a')
    return entry && !entry.suspended && entry
  })
  expect(resumed.scheduleChangedAt).toBeGreaterThan(lastFire + 2_000)
  expect((await fixture.results()).filter(({ time }) => time <= lastFire + 2_000)).toEqual(before)
})

test('the paused annotation suspends too', async () => {
  await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', { annotations: { 'shellcron.dev/paused': 'alice' } }))
  expect(await eventually('the entry', () => fixture.job('a'))).toMatchObject({ suspended: true })
})

test('a deleted job leaves no key, and its due times have their outcomes', async () => {
  await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', everySecond))
  const entry = await eventually('the entry', () => fixture.job('a'))
  await eventually('times come due', () => Date.now() > entry.scheduleChangedAt + 1_500)
  await fixture.remove('a.yaml')
  await eventually('nothing is left', async () => (await fixture.remains()).length === 0)
  expect((await fixture.results()).some(({ reason }) => reason === 'Deleted')).toBe(true)
  // The object itself is deleted last.
  await eventually(
    'its record is gone',
    async () => (await fixture.etcd.list(fixture.keys.statuses)).items.length === 0,
  )
})

test('a deleted job waits for its run, which is killed', async () => {
  const { context } = await fixture.operator()
  await fixture.write('a.yaml', cronJob('a'))
  const { uid } = await eventually('the entry', () => fixture.job('a'))
  const run = `${NS}.a.1000`
  const key = fixture.keys.active('default', 'w1', run)
  const cellKey = fixture.keys.cell({ pool: 'default', kind: 'job', namespace: NS, name: 'a', target: '-' })
  await fixture.put(key, active({ run, uid }))
  await fixture.put(cellKey, { uid, lastFire: 1_000, active: [{ run, agent: 'w1', attempt: 1 }] })
  await fixture.remove('a.yaml')
  await eventually('the mark', async () => (await fixture.etcd.get(key))?.value.includes('"Deleted"'))
  expect(await fixture.job('a')).toMatchObject({ suspended: true })
  expect(context.resources.get('ShellCronJob', NS, 'a')).toBeDefined()
  await fixture.delete(key)
  await fixture.put(cellKey, { uid, lastFire: 1_000, active: [] })
  await eventually('nothing is left', async () => (await fixture.remains()).length === 0)
})

test('a move to another pool deletes the old cells and leaves one entry', async () => {
  await fixture.operator()
  await fixture.write('pool.yaml', object('ShellPool', 'db', {}))
  await fixture.write('a.yaml', cronJob('a', everySecond))
  const entry = await eventually('the entry', () => fixture.job('a'))
  await eventually('times come due', () => Date.now() > entry.scheduleChangedAt + 1_500)
  await fixture.write('a.yaml', cronJob('a', { ...everySecond, target: { pool: 'db' } }))
  const moved = await eventually('the entry there', () => fixture.job('a', 'db'))
  expect(moved).toMatchObject({ uid: entry.uid, suspended: false, generation: 2 })
  expect(await fixture.job('a')).toBeUndefined()
  expect(await fixture.cell('a')).toBeUndefined()
})

test('a refused job becomes a blocked entry, whose times are Missed with the reason', async () => {
  const { context } = await fixture.operator()
  await fixture.write('a.yaml', cronJob('a', { ...everySecond, target: { pool: 'nowhere' } }))
  expect(await eventually('the entry', () => fixture.job('a', 'nowhere'))).toMatchObject({
    blocked: { reason: 'PoolNotFound' },
  })
  const [missed] = await eventually('an outcome', async () => {
    const results = await fixture.results()
    return results.length > 0 && results
  })
  expect(missed).toMatchObject({ outcome: 'Missed', reason: 'PoolNotFound' })
  expect(context.compileResults.get('ShellCronJob', NS, 'a')).toMatchObject({ stalled: false })
  await fixture.write('pool.yaml', object('ShellPool', 'nowhere', {}))
  await eventually('it is mended', async () => {
    const entry = await fixture.job('a', 'nowhere')
    return entry && !entry.blocked && !entry.suspended
  })
})

test('a second start writes nothing, not even sealed values', async () => {
  const { mkdir, writeFile } = await import('node:fs/promises')
  await mkdir(`${fixture.dir}/secrets/${NS}/s`, { recursive: true })
  await writeFile(`${fixture.dir}/secrets/${NS}/s/k`, 'geheim')
  const env = [{ name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }]
  for (let i = 0; i < 50; i++) await fixture.write(`${i}.yaml`, cronJob(`j${i}`, { template: { env } }))
  const first = await fixture.operator()
  const revisions = async () => {
    const { items } = await fixture.etcd.list(fixture.keys.jobs())
    return items.length === 50 && items.map(({ mod }) => mod)
  }
  const before = await eventually('all entries', revisions)
  await first.stop()
  expect((await fixture.job('j7'))?.sealed).toBeDefined()
  expect(JSON.stringify(await fixture.job('j7'))).not.toContain('geheim')
  const { context } = await fixture.operator()
  await eventually('all are looked at', () => context.compileResults.get('ShellCronJob', NS, 'j49'))
  expect(await revisions()).toEqual(before)
})

function active(of: { run: string; uid: string }) {
  return {
    ...of,
    kind: 'job',
    generation: 1,
    namespace: NS,
    name: 'a',
    target: '-',
    time: 1_000,
    notBefore: 1_000,
    attempt: 1,
    session: 1,
    instance: 'i1',
  }
}
