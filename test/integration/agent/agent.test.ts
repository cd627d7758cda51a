import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** One agent with a real etcd and a real launcher, in a scripted pool. */
const pool = poolForEach({ members: ['a'] })

const stamp = () => `echo "$SHELLCRON_RUN_ID $SHELLCRON_ATTEMPT" >> ${pool.truth}`

test('a job every second runs once each second, and each run has one result', async () => {
  await pool.agent('a')
  await pool.putJob({ name: 'tick', command: command(`${stamp()}; echo done`) })
  const results = await eventually('five results', async () => {
    const results = await pool.results()
    return results.length >= 5 && results
  })
  expect(
    results.every(({ outcome, tail, final }) => outcome === 'Succeeded' && tail === 'done\n' && final),
  ).toBe(true)
  const runs = await pool.ran()
  expect(new Set(runs).size).toBe(runs.length)
  for (const { run } of results) expect(runs).toContain(`${run} 1`)
  const times = results.map(({ time }) => time).sort((a, b) => a - b)
  for (let i = 1; i < times.length; i++) expect((times[i] ?? 0) - (times[i - 1] ?? 0)).toBe(1_000)
})

test('a failing command is Failed with its exit code, and its retry is another attempt', async () => {
  await pool.agent('a')
  await pool.putJob({
    name: 'fails',
    ...due(),
    command: command(`${stamp()}; echo bad >&2; exit 7`, { backoffLimit: 1 }),
  })
  const [first] = await eventually('the first attempt ends', async () => {
    const results = (await pool.results()).filter(({ attempt }) => attempt === 1)
    return results.length > 0 && results
  })
  expect(first).toMatchObject({ outcome: 'Failed', exitCode: 7, tail: 'bad\n', final: false, agent: 'a' })
  expect(await pool.actives()).toMatchObject([{ attempt: 2 }])
  const second = await eventually('the retry ends', async () =>
    (await pool.results()).find(({ attempt }) => attempt === 2),
  )
  expect(second).toMatchObject({ outcome: 'Failed', final: true })
  expect(second.startedAt ?? 0).toBeGreaterThanOrEqual((first?.endedAt ?? 0) + 9_900)
  expect(await pool.actives()).toEqual([])
  expect((await pool.cell('fails'))?.active).toEqual([])
})

test('a command that may gain privileges is refused unless the local file of the machine allows it', async () => {
  await pool.agent('a')
  const host = { allowPrivilegeEscalation: true }
  await pool.putJob({ name: 'gains', ...due(), command: command(stamp(), { host }) })
  const result = await eventually('it is refused', async () =>
    (await pool.results()).find(({ outcome }) => outcome === 'Failed'),
  )
  expect(result.reason).toBe('RefusedByAgent')
  expect(result.message).toContain('allowPrivilegeEscalation is not set')
  expect(await pool.ran()).toEqual([])
})

/** Ends with a retry that waits for its backoff. */
async function pendingRetry(name: string): Promise<Parameters<typeof pool.putJob>[0]> {
  const job = { name, ...due(), command: command('[ "$SHELLCRON_ATTEMPT" = 2 ]', { backoffLimit: 1 }) }
  await pool.agent('a')
  await pool.putJob(job)
  await eventually('a retry is pending', async () => (await pool.actives())[0]?.attempt === 2)
  return { ...job, suspended: true }
}
const retried = (name: string) =>
  eventually('the retry ends', async () =>
    (await pool.results()).find(result => result.name === name && result.attempt === 2),
  )

test('a pending retry outlives an edit of the schedule', async () => {
  const job = await pendingRetry('rescheduled')
  await pool.putJob({ ...job, editing: { at: Date.now(), settle: 'Rescheduled' } })
  await pool.putJob({ name: 'later', ...due(), command: command('true') })
  await eventually('the agent has seen the suspension', () => pool.ended('later'))
  await pool.putJob({ ...job, suspended: false, generation: 2, schedules: ['@every 2h'] })
  expect(await retried('rescheduled')).toMatchObject({ outcome: 'Succeeded', generation: 2, final: true })
})

test('a run that fails while its schedule is edited is retried', async () => {
  await pool.agent('a')
  const script = `until [ -e ${pool.dir}/go ]; do sleep 0.1; done; [ "$SHELLCRON_ATTEMPT" = 2 ]`
  const job = { name: 'editing', ...due(), command: command(script, { backoffLimit: 1 }) }
  await pool.putJob(job)
  await eventually('it is claimed', async () => (await pool.actives()).length > 0)
  await pool.putJob({ ...job, suspended: true, editing: { at: Date.now(), settle: 'Rescheduled' } })
  await writeFile(`${pool.dir}/go`, '')
  expect(await retried('editing')).toMatchObject({ outcome: 'Succeeded', final: true })
})

test.each([
  ['is suspended', { editing: { at: 1, settle: 'Suspended' } }, 'Suspended'],
  ['is suspended already', {}, 'Suspended'],
  ['is deleted', { editing: { at: 1, settle: 'Deleted' } }, 'Deleted'],
  ['moves to another pool', { editing: { at: 1, settle: 'PoolChanged' } }, 'PoolChanged'],
  ['is blocked', { suspended: false, blocked: { reason: 'NotAllowed', message: '' } }, 'NotAllowed'],
])('a pending retry of a job that %s is Cancelled, and the reason says so', async (_, over, reason) => {
  const job = await pendingRetry('ends')
  await pool.putJob({ ...job, ...over })
  expect(await retried('ends')).toMatchObject({ outcome: 'Cancelled', reason, final: true })
})

test('Forbid: a time that comes due while a run is active waits, and starts when that run ends', async () => {
  await pool.agent('a')
  await pool.putJob({
    name: 'slow',
    concurrencyPolicy: 'Forbid',
    command: command(`echo start >> ${pool.truth}; sleep 2.5; echo end >> ${pool.truth}`),
  })
  await eventually('three runs', async () => (await pool.ran()).filter(line => line === 'end').length >= 3)
  const lines = await pool.ran()
  lines.forEach((line, i) => expect(line).toBe(i % 2 === 0 ? 'start' : 'end'))
  const results = await pool.results()
  expect(results.filter(({ outcome }) => outcome === 'Skipped').length).toBeGreaterThan(0)
  expect(new Set(results.map(({ run }) => run)).size).toBe(results.length)
})

test('Replace: the active run is killed for the new one', async () => {
  await pool.agent('a')
  await pool.putJob({
    name: 'replace',
    concurrencyPolicy: 'Replace',
    command: command(`${stamp()}; exec sleep 60`),
  })
  const killed = await eventually('two replaced', async () => {
    const killed = (await pool.results()).filter(({ outcome }) => outcome === 'Killed')
    return killed.length >= 2 && killed
  })
  expect(killed.every(({ reason }) => reason === 'Replaced')).toBe(true)
})

test('a suspended or deleted job is not claimed again, and a claimed run that has not started is cancelled', async () => {
  await pool.agent('a')
  const at = Date.now()
  await pool.putJob({ name: 'late', jitterSeconds: 0, command: command(stamp()) })
  await eventually('it runs', async () => (await pool.results()).length > 0)
  await pool.putJob({
    name: 'late',
    suspended: true,
    generation: 2,
    scheduleChangedAt: at,
    command: command(stamp()),
  })
  await eventually('nothing is active', async () => (await pool.actives()).length === 0)
  const frontier = (await pool.cell('late'))?.lastFire
  await eventually('two more seconds', () => Date.now() > (frontier ?? 0) + 2_500)
  expect((await pool.cell('late'))?.lastFire).toBe(frontier)
})

test('after a period without agents, Latest runs the newest time and records the others as one range', async () => {
  const now = Date.now()
  await pool.putJob({
    name: 'missed',
    schedules: ['*/10 * * * * *'],
    scheduleChangedAt: now - 3_600_000,
    command: command(stamp()),
  })
  await pool.agent('a')
  const results = await eventually('both', async () => {
    const results = await pool.results()
    return results.some(({ outcome }) => outcome === 'Succeeded') && results
  })
  const missed = results.filter(({ outcome }) => outcome === 'Missed')
  expect(missed).toHaveLength(1)
  expect(missed[0]?.range?.count).toBeGreaterThanOrEqual(358)
  expect(missed[0]).toMatchObject({ reason: 'NotCaughtUp', final: true, attempt: 0 })
})

test('a ShellRun is claimed once, its request is deleted, and a kill ends it as Killed', async () => {
  await pool.agent('a')
  await pool.putRun({ name: 'once', command: command(`${stamp()}; exec sleep 60`) })
  await pool.request('run.test.once.-', {
    kind: 'run',
    namespace: 'test',
    name: 'once',
    target: '-',
    uid: 'uid-1',
  })
  const [active] = await eventually('it is active', async () => {
    const actives = await pool.actives()
    return actives.length > 0 && (await pool.ran()).length > 0 && actives
  })
  expect(active?.run).toBe('test.once.run-uid-1')
  expect((await pool.etcd.list(pool.keys.requests('default'))).items).toEqual([])
  await pool.request('kill.x', { kind: 'kill', run: 'test.once.run-uid-1', uid: 'uid-1', reason: 'Deleted' })
  const [result] = await eventually('it ends', async () => {
    const results = await pool.results()
    return results.length > 0 && results
  })
  expect(result).toMatchObject({ outcome: 'Killed', reason: 'Deleted', run: 'test.once.run-uid-1' })
  expect(await pool.ran()).toHaveLength(1)
})

test('an agent that returns within its lease resumes its session, adopts its runs and records them', async () => {
  const first = await pool.agent('a')
  await pool.putJob({
    name: 'long',
    ...due(),
    command: command(`${stamp()}; sleep 2; echo survived`),
  })
  await eventually('it runs', async () => (await pool.ran()).length > 0)
  const session = (await pool.actives())[0]?.session
  await first.crash()
  await pool.agent('a')
  const result = await eventually('it ends', async () =>
    (await pool.results()).find(({ attempt }) => attempt === 1),
  )
  expect(result).toMatchObject({ outcome: 'Succeeded', tail: 'survived\n' })
  expect(await pool.ran()).toHaveLength(1)
  const agents = (await pool.etcd.list(pool.keys.agents('default'))).items
  expect(agents[0]?.create).toBe(session)
})

test('another agent buries the runs of a dead agent, and retries them', async () => {
  await pool.putMember('b')
  const a = await pool.agent('a')
  const b = await pool.agent('b')
  await pool.putJob({
    name: 'lost',
    ...due(),
    command: command(`${stamp()}; [ "$SHELLCRON_ATTEMPT" = 2 ] || exec sleep 600`, { backoffLimit: 1 }),
  })
  const [active] = await eventually('it runs', async () => {
    const actives = await pool.actives()
    return actives.length > 0 && (await pool.ran()).length > 0 && actives
  })
  const owner = active?.session === (await sessionOf('a')) ? 'a' : 'b'
  await (owner === 'a' ? a : b).crash()
  const lost = await eventually(
    'it is buried',
    async () => (await pool.results()).find(({ attempt }) => attempt === 1),
    60_000,
  )
  expect(lost).toMatchObject({ outcome: 'Lost', reason: 'AgentLost', agent: owner, final: false })
  const retried = await eventually(
    'it is retried',
    async () => (await pool.results()).find(({ attempt }) => attempt === 2),
    60_000,
  )
  expect(retried).toMatchObject({ outcome: 'Succeeded', agent: owner === 'a' ? 'b' : 'a', final: true })
})

async function sessionOf(agent: string): Promise<number | undefined> {
  return (await pool.etcd.get(pool.keys.agent('default', agent)))?.create
}
