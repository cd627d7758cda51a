import { expect, test, vi } from 'vitest'
import type { Context } from '../../../operator/context.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** Another process changes what only the operator writes. */
const fixture = operatorForEach()

const jobKey = () => fixture.keys.job({ pool: 'default', namespace: NS, name: 'a' })
const runKey = () => fixture.keys.run({ pool: 'default', namespace: NS, name: 'r' })
const raw = async (key: string) => (await fixture.etcd.get(key))?.value ?? ''
const putRaw = (key: string, value: string) => fixture.etcd.txn({ compare: [], then: [{ put: key, value }] })

/** The reasons of the Events from now on. */
function reasonsOf({ resources }: Context): () => string[] {
  const event = vi.spyOn(resources, 'event')
  return () => event.mock.calls.map(([, , { reason }]) => reason)
}

const run = object(
  'ShellRun',
  'r',
  { template: { spec: { host: {}, script: 'true', target: { agents: ['absent'] } } } },
  NS,
)
const agent = (labels: object) => object('ShellAgent', 'm', { pool: 'default', external: {}, labels })

/** A job of generation 2. Resolves to its entry, and to the text of generation 1. */
async function editedJob() {
  await fixture.write('a.yaml', cronJob('a', { schedule: '* * * * * *' }))
  await eventually('the entry', () => fixture.job('a'))
  const old = await raw(jobKey())
  await fixture.write('a.yaml', cronJob('a', { schedule: '* * * * * *', template: { script: 'false' } }))
  const entry = await eventually('generation 2', async () => {
    const found = await fixture.job('a')
    return found?.generation === 2 && found
  })
  return { old, entry }
}

test.each([
  ['puts an older entry over it', 'Stale', (old: string) => putRaw(jobKey(), old)],
  ['deletes it', 'Stale', () => fixture.delete(jobKey())],
  [
    'puts an entry that the operator did not sign',
    'Signature',
    () => fixture.put(jobKey(), { signed: '{}' }),
  ],
])('an entry is restored as it was when another process %s', async (_, reason, tamper) => {
  const { context } = await fixture.operator()
  const { old, entry } = await editedJob()
  const reasons = reasonsOf(context)
  await tamper(old)
  const restored = await eventually('it is restored', async () => {
    const now = await fixture.job('a')
    return (now?.written ?? 0) > (entry.written ?? 0) && now
  })
  const { mod: _mod, written: _written, ...same } = restored as NonNullable<typeof restored>
  expect(entry).toMatchObject(same)
  await eventually('it is reported', () => reasons().includes(reason))
})

test.each([
  ['job', () => fixture.write('a.yaml', cronJob('a')), jobKey, 'a.yaml'],
  ['ShellRun', () => fixture.write('r.yaml', run), runKey, 'r.yaml'],
] as const)(
  'the entry of a %s that is gone is removed when another process puts it back',
  async (_, write, key, file) => {
    const { context } = await fixture.operator()
    await write()
    const old = await eventually('the entry', () => raw(key()))
    await fixture.remove(file)
    await eventually('it is removed', async () => (await fixture.remains()).length === 0)
    const reasons = vi.spyOn(context.log, 'error')
    await putRaw(key(), old)
    await eventually('it is removed again', async () => (await fixture.remains()).length === 0)
    expect(reasons).toHaveBeenCalledWith(
      expect.objectContaining({ key: key(), reason: 'Stale' }),
      'record.foreignChange',
    )
  },
)

test.each([
  ['changed', (key: string) => fixture.put(key, { labels: { role: 'db' }, enrolledAt: 1 })],
  ['made unreadable', (key: string) => putRaw(key, '?')],
  ['deleted', (key: string) => fixture.delete(key)],
])('a member that another process has %s is restored', async (_, tamper) => {
  const { context } = await fixture.operator()
  await fixture.write('m.yaml', agent({ role: 'web' }))
  const key = fixture.keys.member('default', 'm')
  const good = await eventually('the member', () => raw(key))
  const reasons = reasonsOf(context)
  await tamper(key)
  await eventually('it is restored', async () => (await raw(key)) === good)
  await eventually('it is reported', () => reasons().includes('Stale'))
})

test('a member that another process added is removed', async () => {
  await fixture.operator()
  const key = fixture.keys.member('default', 'thief')
  await fixture.put(key, { enrolledAt: 1 })
  await eventually('it is removed', async () => !(await raw(key)))
})

test('a pool that another process changed is restored', async () => {
  await fixture.operator()
  const key = fixture.keys.pool('default')
  const good = await eventually('the pool', () => raw(key))
  await fixture.put(key, { ...JSON.parse(good), paused: true })
  await eventually('it is restored', async () => (await raw(key)) === good)
})

test('a request that the operator did not sign is deleted and reported, and its own stays', async () => {
  const { context } = await fixture.operator()
  await fixture.write('r.yaml', run)
  const own = fixture.keys.request('default', `run.${NS}.r.-`)
  await eventually("the operator's request", () => raw(own))
  const reasons = reasonsOf(context)
  const forged = ['one', 'other'].map(target => fixture.keys.request('default', `run.${NS}.r.${target}`))
  const text = JSON.stringify({ kind: 'run', namespace: NS, name: 'r', target: '-', uid: 'u' })
  await putRaw(forged[0] ?? '', text)
  await putRaw(forged[1] ?? '', JSON.stringify({ signed: text, signature: 'AAAA' }))
  await eventually('both are gone', async () => (await Promise.all(forged.map(raw))).every(one => one === ''))
  await eventually('both are reported', () => reasons().length === 2)
  expect(reasons()).toEqual(['Signature', 'Signature'])
  expect(await raw(own)).not.toBe('')
})

test("the operator's own changes are not reported", async () => {
  const { context } = await fixture.operator()
  const errors = vi.spyOn(context.log, 'error')
  await fixture.write('m.yaml', agent({ role: 'web' }))
  await editedJob()
  await fixture.write('a.yaml', cronJob('a', { schedule: '@every 2h', target: { mode: 'All' } }))
  await eventually('the new schedule', async () => {
    const entry = await fixture.job('a')
    return entry?.schedules[0] === '@every 2h' && !entry.suspended
  })
  await fixture.write('m.yaml', agent({ role: 'db' }))
  await fixture.write('r.yaml', run)
  await eventually('the ShellRun', () => fixture.run('r'))
  await fixture.remove('r.yaml')
  await fixture.remove('a.yaml')
  await fixture.remove('m.yaml')
  await eventually('everything is gone', async () => (await fixture.remains()).length === 0)
  await eventually('the member is gone', async () => !(await raw(fixture.keys.member('default', 'm'))))
  expect(errors).not.toHaveBeenCalled()
})
