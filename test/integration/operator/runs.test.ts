import { expect, test } from 'vitest'
import { ANYWHERE, shellRunId } from '../../../core/keys.ts'
import { systemClock } from '../../../platform/clock.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

const bench = operatorForEach()

const shellRun = (name: string, spec: object = { template: { spec: { host: {}, script: 'true' } } }) =>
  object('ShellRun', name, spec, NS)
const cellKey = () => bench.keys.cell({ pool: 'default', kind: 'run', namespace: NS, name: 'r', target: '-' })

test('a ShellRun becomes an entry and one request', async () => {
  await bench.operator()
  await bench.write('r.yaml', shellRun('r'))
  const [request] = await eventually('a request', async () => {
    const requests = await bench.requests()
    return requests.length > 0 && requests
  })
  const entry = await bench.run('r')
  expect(request).toEqual({ kind: 'run', namespace: NS, name: 'r', target: '-', uid: entry?.uid })
  expect(entry?.deadline).toBe((entry?.createdAt ?? 0) + 600_000)
})

test('it is requested again if its request expired unanswered, and never once it was claimed', async () => {
  const { context } = await bench.operator()
  await bench.write('r.yaml', shellRun('r'))
  const key = bench.keys.request('default', `run.${NS}.r.-`)
  await eventually('the request is seen', () => context.mirrors.requests.get(key))
  await bench.delete(key)
  await eventually('it is put again', () => bench.etcd.get(key))
  const { uid } = (await bench.run('r')) ?? { uid: '' }
  await bench.etcd.txn({
    compare: [],
    then: [
      { delete: key },
      { put: cellKey(), value: JSON.stringify({ uid, lastFire: 1, taken: true, active: [] }) },
    ],
  })
  await eventually('the deletion is seen', () => !context.mirrors.requests.get(key))
  await bench.write('other.yaml', shellRun('other'))
  await eventually('another one is asked for', async () => (await bench.requests()).length === 1)
  expect(await bench.etcd.get(key)).toBeUndefined()
})

test("with jobRef it has its job's template, checked parameters and its own deadline", async () => {
  const { context } = await bench.operator()
  const parameters = [{ name: 'DB', default: 'orders', enum: ['orders', 'users'] }]
  await bench.write('a.yaml', cronJob('a', { spec: { parameters, startingDeadlineSeconds: 60 } }))
  await bench.write(
    'r.yaml',
    shellRun('r', { jobRef: { name: 'a' }, parameters: [{ name: 'DB', value: 'users' }] }),
  )
  const entry = await eventually('the entry', async () => {
    const entry = await bench.run('r')
    return entry && !entry.blocked && entry
  })
  expect(entry).toMatchObject({
    parameters: { DB: 'users' },
    jobRef: { name: 'a' },
    deadline: entry.createdAt + 600_000,
  })
  await bench.write(
    'bad.yaml',
    shellRun('bad', { jobRef: { name: 'a' }, parameters: [{ name: 'DB', value: 'x' }] }),
  )
  const [missed] = await eventually('an outcome', async () => {
    const results = await bench.results()
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
  const first = await bench.operator()
  await bench.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await bench.requests()).length > 0)
  await first.stop()
  await bench.operator({ clock: { ...systemClock, now: () => systemClock.now() + 600_001 } })
  const [missed] = await eventually('an outcome', async () => {
    const results = await bench.results()
    return results.length > 0 && results
  })
  expect(missed).toMatchObject({
    run: expect.stringMatching(`^${NS}[.]r[.]run-`) as string,
    kind: 'run',
    outcome: 'Missed',
    attempt: 0,
    final: true,
  })
  expect(await bench.cell('r', '-', 'run')).toMatchObject({ taken: true, active: [] })
  expect(await bench.requests()).toEqual([])
})

test('if deleted before it was claimed it is Missed, and leaves no key', async () => {
  await bench.operator()
  await bench.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await bench.requests()).length > 0)
  await bench.remove('r.yaml')
  await eventually('nothing is left', async () => (await bench.remains()).length === 0)
  expect(await bench.results()).toMatchObject([{ outcome: 'Missed', reason: 'Deleted' }])
  // Its result is not stored yet. A new object with its name is another run.
  await bench.write('r.yaml', shellRun('r'))
  await eventually('a request', async () => (await bench.requests()).length > 0)
  await bench.remove('r.yaml')
  await eventually('both have an outcome', async () => (await bench.results()).length === 2)
})

test('if deleted while it runs it is killed, and the deletion waits for its end', async () => {
  const { context } = await bench.operator()
  await bench.write('r.yaml', shellRun('r'))
  const { uid } = await eventually('the entry', () => bench.run('r'))
  const run = shellRunId({ namespace: NS, name: 'r', target: ANYWHERE, uid })
  const key = bench.keys.active('default', 'w1', run)
  await bench.put(key, {
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
  await bench.put(cellKey(), { uid, lastFire: 1, taken: true, active: [{ run, agent: 'w1', attempt: 1 }] })
  await bench.remove('r.yaml')
  await eventually('the mark', async () => (await bench.etcd.get(key))?.value.includes('"Deleted"'))
  expect(context.resources.get('ShellRun', NS, 'r')).toBeDefined()
  await bench.delete(key)
  await bench.put(cellKey(), { uid, lastFire: 1, taken: true, active: [] })
  await eventually('nothing is left', async () => (await bench.remains()).length === 0)
  expect(await bench.results()).toEqual([])
})

test('with All there is one request for each current member', async () => {
  const { context } = await bench.operator()
  for (const name of ['w1', 'w2'])
    await bench.write(`${name}.yaml`, object('ShellAgent', name, { external: {} }))
  await eventually('the members', () => context.mirrors.members.size === 2)
  await bench.write(
    'r.yaml',
    shellRun('r', { template: { spec: { host: {}, script: 'true', target: { mode: 'All' } } } }),
  )
  const requests = await eventually('two requests', async () => {
    const requests = await bench.requests()
    return requests.length === 2 && requests
  })
  const targets = requests.map(request => (request.kind === 'run' ? request.target : ''))
  expect(new Set(targets)).toEqual(new Set(['w1', 'w2']))
})
