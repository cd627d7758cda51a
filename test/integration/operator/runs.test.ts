import { expect, test } from 'vitest'
import { ANYWHERE, shellRunId } from '../../../core/keys.ts'
import { systemClock } from '../../../platform/clock.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

const fixture = operatorForEach()

const shellRun = (name: string, spec: object = { template: { spec: { host: {}, script: 'true' } } }) =>
  object('ShellRun', name, spec, NS)
const cellKey = () =>
  fixture.keys.cell({ pool: 'default', kind: 'run', namespace: NS, name: 'r', target: '-' })

test('a ShellRun becomes an entry and one request', async () => {
  await fixture.operator()
  await fixture.write('r.yaml', shellRun('r'))
  const [request] = await eventually('a request', async () => {
    const requests = await fixture.requests()
    return requests.length > 0 && requests
  })
  const entry = await fixture.run('r')
  expect(request).toEqual({ kind: 'run', namespace: NS, name: 'r', target: '-', uid: entry?.uid })
  expect(entry?.deadline).toBe((entry?.createdAt ?? 0) + 600_000)
})

test('it is requested again if its request expired unanswered, and never once it was claimed', async () => {
  const { context } = await fixture.operator()
  await fixture.write('r.yaml', shellRun('r'))
  const key = fixture.keys.request('default', `run.${NS}.r.-`)
  await eventually('the request is seen', () => context.mirrors.requests.get(key))
  await fixture.delete(key)
  await eventually('it is put again', () => fixture.etcd.get(key))
  const { uid } = (await fixture.run('r')) ?? { uid: '' }
  await fixture.etcd.txn({
    compare: [],
    then: [
      { delete: key },
      { put: cellKey(), value: JSON.stringify({ uid, lastFire: 1, taken: true, active: [] }) },
    ],
  })
  await eventually('the deletion is seen', () => !context.mirrors.requests.get(key))
  await fixture.write('other.yaml', shellRun('other'))
  await eventually('another one is asked for', async () => (await fixture.requests()).length === 1)
  expect(await fixture.etcd.get(key)).toBeUndefined()
})

test("with jobRef it has its job's template, checked parameters and its own deadline", async () => {
  const { context } = await fixture.operator()
  const parameters = [{ name: 'DB', default: 'orders', enum: ['orders', 'users'] }]
  await fixture.write('a.yaml', cronJob('a', { spec: { parameters, startingDeadlineSeconds: 60 } }))
  await fixture.write(
    'r.yaml',
    shellRun('r', { jobRef: { name: 'a' }, parameters: [{ name: 'DB', value: 'users' }] }),
  )
  const entry = await eventually('the entry', async () => {
    const entry = await fixture.run('r')
    return entry && !entry.blocked && entry
  })
  expect(entry).toMatchObject({
    parameters: { DB: 'users' },
    jobRef: { name: 'a' },
    deadline: entry.createdAt + 600_000,
  })
  await fixture.write(
    'bad.yaml',
    shellRun('bad', { jobRef: { name: 'a' }, parameters: [{ name: 'DB', value: 'x' }] }),
  )
  const [missed] = await eventually('an outcome', async () => {
    const results = await fixture.results()
    return results.length > 0 && results
  })
  expect(missed).toMatchObject({
    run: expect.stringMatching(`^${NS}[.]bad[.]run-[0-9a-f]{8}$`) as string,
    outcome: 'Missed',
    reason: 'InvalidParameters',
    final: true,
  })
  expect(context.compileResults.get('ShellRun', NS, 'bad')).toMatchObject({ stalled: true })
})

test('if unclaimed at its deadline it is Missed, and its cell is taken', async () => {
  const first = await fixture.operator()
  await fixture.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await fixture.requests()).length > 0)
  await first.stop()
  await fixture.operator({ clock: { ...systemClock, now: () => systemClock.now() + 600_001 } })
  const [missed] = await eventually('an outcome', async () => {
    const results = await fixture.results()
    return results.length > 0 && results
  })
  expect(missed).toMatchObject({
    run: expect.stringMatching(`^${NS}[.]r[.]run-`) as string,
    kind: 'run',
    outcome: 'Missed',
    attempt: 0,
    final: true,
  })
  expect(await fixture.cell('r', '-', 'run')).toMatchObject({ taken: true, active: [] })
  expect(await fixture.requests()).toEqual([])
})

test('if deleted before it was claimed it is Missed, and leaves no key', async () => {
  await fixture.operator()
  await fixture.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await fixture.requests()).length > 0)
  await fixture.remove('r.yaml')
  await eventually('nothing is left', async () => (await fixture.remains()).length === 0)
  expect(await fixture.results()).toMatchObject([{ outcome: 'Missed', reason: 'Deleted' }])
  // Its result is not stored yet. A new object with its name is another run.
  await fixture.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await fixture.requests()).length > 0)
  await fixture.remove('r.yaml')
  await eventually('both have an outcome', async () => (await fixture.results()).length === 2)
})

test('if deleted while it runs it is killed, and the deletion waits for its end', async () => {
  const { context } = await fixture.operator()
  await fixture.write('r.yaml', shellRun('r'))
  const { uid } = await eventually('the entry', () => fixture.run('r'))
  const run = shellRunId({ namespace: NS, name: 'r', target: ANYWHERE, uid })
  const key = fixture.keys.active('default', 'w1', run)
  await fixture.put(key, {
    run,
    kind: 'run',
    uid,
    generation: 1,
    namespace: NS,
    name: 'r',
    target: '-',
    time: 1_000,
    notBefore: 1_000,
    attempt: 1,
    session: 1,
    instance: 'i1',
  })
  await fixture.put(cellKey(), { uid, lastFire: 1, taken: true, active: [{ run, agent: 'w1', attempt: 1 }] })
  await fixture.remove('r.yaml')
  await eventually('the mark', async () => (await fixture.etcd.get(key))?.value.includes('"Deleted"'))
  expect(context.resources.get('ShellRun', NS, 'r')).toBeDefined()
  await fixture.delete(key)
  await fixture.put(cellKey(), { uid, lastFire: 1, taken: true, active: [] })
  await eventually('nothing is left', async () => (await fixture.remains()).length === 0)
  expect(await fixture.results()).toEqual([])
})

test('with All there is one request for each current member', async () => {
  const { context } = await fixture.operator()
  for (const name of ['w1', 'w2'])
    await fixture.write(`${name}.yaml`, object('ShellAgent', name, { external: {} }))
  await eventually('the members', () => context.mirrors.members.size === 2)
  await fixture.write(
    'r.yaml',
    shellRun('r', { template: { spec: { host: {}, script: 'true', target: { mode: 'All' } } } }),
  )
  const requests = await eventually('two requests', async () => {
    const requests = await fixture.requests()
    return requests.length === 2 && requests
  })
  const targets = requests.map(request => (request.kind === 'run' ? request.target : ''))
  expect(new Set(targets)).toEqual(new Set(['w1', 'w2']))
})
