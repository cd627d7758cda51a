import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ANYWHERE, shellRunId } from '../../../core/keys.ts'
import type { Result } from '../../../core/records/state.ts'
import type { AgentStatus, JobStatus, RunStatus } from '../../../core/schema/status.ts'
import type { Context } from '../../../operator/context.ts'
import { createResultReporter } from '../../../operator/status/report-results.ts'
import type { LogStore } from '../../../store/log/port.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** From objects and results to statuses, on a real etcd with scripted agents. */
const fixture = operatorForEach()
let store: LogStore
let context: Context
const reports: { stop(): Promise<void> }[] = []

beforeEach(async () => {
  store = openSqliteLogStore(join(fixture.dir, '..', 'log.db'))
  context = (await fixture.operator()).context
})
afterEach(async () => {
  await stopReports()
  await store.close()
})

function report(): void {
  const stop = new AbortController()
  const done = createResultReporter({ logStore: store })(context, stop.signal)
  reports.push({
    async stop() {
      stop.abort()
      await done
    },
  })
}

async function stopReports(): Promise<void> {
  await Promise.all(reports.splice(0).map(one => one.stop()))
}

async function statusOf<T>(kind: string, name: string, namespace = NS): Promise<T | undefined> {
  const item = await fixture.etcd.get(fixture.keys.status(kind, namespace, name))
  return item && ((JSON.parse(item.value) as { status?: T }).status ?? undefined)
}

type Reported = JobStatus | RunStatus | AgentStatus

/** Waits until exactly these conditions are True. Resolves to the status. */
async function when<T extends Reported>(kind: string, name: string, conditions: string): Promise<T> {
  const namespace = kind === 'ShellAgent' || kind === 'ShellPool' ? '-' : NS
  return await eventually(`${kind} ${name} is ${conditions}`, async () => {
    const status = await statusOf<T>(kind, name, namespace)
    const holding = (status?.conditions ?? []).filter(one => one.status === 'True')
    return holding.map(({ type, reason }) => `${type} ${reason}`).join(', ') === conditions && status
  })
}

/** A job whose entry exists, once it is Ready. */
async function uidOf(name: string): Promise<string> {
  const entry = await fixture.job(name)
  expect(entry).toBeDefined()
  return entry?.uid ?? ''
}

async function end(over: Partial<Result> & Pick<Result, 'run' | 'uid' | 'name'>): Promise<void> {
  const result: Result = {
    kind: 'job',
    generation: 1,
    namespace: NS,
    target: '-',
    agent: 'w1',
    attempt: 1,
    time: 1_000,
    startedAt: 1_001,
    endedAt: 2_000,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    final: true,
    ...over,
  }
  await fixture.put(fixture.keys.result('default', result.run, result.attempt), result)
}

test('the status of a job has Ready and its next time, then the ends of its runs', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a', { template: { script: 'df -h\n' } }))
  const first = await when<JobStatus>('ShellCronJob', 'a', 'Ready Compiled')
  expect(first).toMatchObject({
    observedGeneration: 1,
    schedule: '0 0 1 1 *',
    command: 'df -h',
    target: 'One default',
    activeCount: 0,
    runs: [],
  })
  expect(first.nextScheduleTime).toMatch(/^\d{4}-01-01T00:00:00Z$/)
  const uid = await uidOf('a')
  const of = { uid, name: 'a' }
  await end({ ...of, run: `${NS}.a.1000`, outcome: 'Failed', exitCode: 7, tail: 'bad\n' })
  const failed = await eventually('the failure', async () => {
    const status = await statusOf<JobStatus>('ShellCronJob', 'a')
    return status?.lastResult === 'Failed' && status
  })
  expect(failed).toMatchObject({ outputTail: 'bad\n', lastFailureTime: '1970-01-01T00:00:02Z' })
  expect(failed.runs).toMatchObject([{ id: `${NS}.a.1000`, exitCode: 7 }])
  await end({ ...of, run: `${NS}.a.3000`, time: 3_000, endedAt: 4_000 })
  const again = await when<JobStatus>('ShellCronJob', 'a', 'Ready Compiled, LastRunSucceeded Succeeded')
  expect(again).toMatchObject({ lastResult: 'Succeeded', outputTail: 'bad\n' })
  expect(again.runs).toHaveLength(2)
  await eventually('the outbox is empty', async () => (await fixture.results()).length === 0)
})

test('an active run is shown until it has ended', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a'))
  await when('ShellCronJob', 'a', 'Ready Compiled')
  const uid = await uidOf('a')
  const run = `${NS}.a.1000`
  const key = fixture.keys.active('default', 'w1', run)
  const active = { run, kind: 'job', uid, generation: 1, namespace: NS, name: 'a', target: '-', time: 1_000 }
  await fixture.put(key, { ...active, notBefore: 1_000, attempt: 1, session: 1, instance: 'i' })
  const status = await eventually('it is active', async () => {
    const status = await statusOf<JobStatus>('ShellCronJob', 'a')
    return status?.activeCount === 1 && status
  })
  expect(status).toMatchObject({
    active: [{ id: run, startTime: '1970-01-01T00:00:01Z', targets: 1 }],
    lastScheduleTime: '1970-01-01T00:00:01Z',
  })
  await fixture.delete(key)
  await eventually(
    'it is no longer active',
    async () => (await statusOf<JobStatus>('ShellCronJob', 'a'))?.activeCount === 0,
  )
})

test('a job that cannot be compiled is Stalled, with the field; once fixed it is Ready', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a', { schedule: '61 * * * *' }))
  const status = await when<JobStatus>('ShellCronJob', 'a', 'Stalled InvalidSchedule')
  expect(status.conditions?.[0]?.message).toContain('spec.schedule')
  expect(status).not.toHaveProperty('nextScheduleTime')
  await fixture.write('a.yaml', cronJob('a', { schedule: '1 * * * *' }))
  const mended = await when<JobStatus>('ShellCronJob', 'a', 'Ready Compiled')
  expect(mended.observedGeneration).toBe(2)
})

test('an edit is Ready once it is applied, with its own generation', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a'))
  await when('ShellCronJob', 'a', 'Ready Compiled')
  for (const [generation, schedule] of [
    [2, '5 * * * *'],
    [3, '6 * * * *'],
  ] as const) {
    await fixture.write('a.yaml', cronJob('a', { schedule }))
    await eventually('said of the new generation', async () => {
      const status = await statusOf<JobStatus>('ShellCronJob', 'a')
      return status?.observedGeneration === generation
    })
    expect(await fixture.job('a')).toMatchObject({ generation, schedules: [schedule], suspended: false })
  }
})

test('a suspended job says so and has no next time', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a', { annotations: { 'shellcron.dev/paused': 'eva' } }))
  const status = await when<JobStatus>('ShellCronJob', 'a', 'Ready Suspended')
  expect(status.conditions?.[0]?.message).toBe('suspended by eva')
  expect(status).not.toHaveProperty('nextScheduleTime')
})

test('a ShellRun waits, ends, and has its exit code', async () => {
  report()
  const template = { spec: { host: {}, script: 'true' } }
  await fixture.write('good.yaml', object('ShellRun', 'good', { template }, NS))
  await fixture.write('bad.yaml', object('ShellRun', 'bad', { template }, NS))
  const ended = async (name: string, over: Partial<Result>) => {
    const waiting = await when<RunStatus>('ShellRun', name, 'Reconciling NoAgentMatches')
    expect(waiting.phase).toBe('Pending')
    const { uid, createdAt } = await eventually('its entry', () => fixture.run(name))
    const run = shellRunId({ namespace: NS, name, target: ANYWHERE, uid })
    await end({ kind: 'run', uid, name, run, time: createdAt, ...over })
  }
  await ended('good', { tail: 'hello\n' })
  expect(await when<RunStatus>('ShellRun', 'good', 'Ready Succeeded, Complete Succeeded')).toMatchObject({
    phase: 'Succeeded',
    exitCode: 0,
    outputTail: 'hello\n',
  })
  await ended('bad', { outcome: 'Failed', exitCode: 3 })
  const bad = await when<RunStatus>('ShellRun', 'bad', 'Stalled Failed, Failed Failed')
  expect(bad.conditions?.[0]?.message).toBe('Failed: exit code 3')
})

test('an agent is Ready while it lives, and jobs count their ready targets', async () => {
  report()
  await fixture.write('w1.yaml', object('ShellAgent', 'w1', { external: {} }))
  await fixture.write('a.yaml', cronJob('a', { target: { mode: 'All' } }))
  const targets = (want: JobStatus['targets']) =>
    eventually(`${want?.ready} of ${want?.matched}`, async () => {
      const status = await statusOf<JobStatus>('ShellCronJob', 'a')
      return status?.targets?.matched === want?.matched && status?.targets?.ready === want?.ready
    })
  await targets({ matched: 1, ready: 0 })
  await when('ShellAgent', 'w1', '')
  const session = await fixture.register('w1')
  const status = await when<AgentStatus>('ShellAgent', 'w1', 'Ready Connected')
  expect(status).toMatchObject({ session: String(session), version: 'test', running: 0 })
  await targets({ matched: 1, ready: 1 })
  await fixture.delete(fixture.keys.agent('default', 'w1'))
  await when('ShellAgent', 'w1', '')
})

test('an operator that starts again leaves unchanged statuses exactly as they are', async () => {
  report()
  await fixture.write('a.yaml', cronJob('a'))
  await fixture.write('bad.yaml', cronJob('bad', { schedule: '61 * * * *' }))
  await fixture.write('p.yaml', object('ShellPool', 'p', {}))
  await when('ShellCronJob', 'a', 'Ready Compiled')
  const uid = await uidOf('a')
  const base = Date.now()
  for (const n of [1, 2, 3, 4, 5]) {
    const time = base + n
    const outcome = n > 2 ? 'Failed' : 'Succeeded'
    await end({ uid, name: 'a', run: `${NS}.a.${time}`, time, endedAt: time, outcome })
  }
  await eventually('all five', async () => {
    const status = await statusOf<JobStatus>('ShellCronJob', 'a')
    return status?.runs?.length === 5
  })
  await when('ShellPool', 'p', 'Ready Accepted')
  await when('ShellCronJob', 'bad', 'Stalled InvalidSchedule')
  const said = async () => {
    const bad = await statusOf<JobStatus>('ShellCronJob', 'bad')
    return {
      job: await statusOf('ShellCronJob', 'a'),
      pool: await statusOf('ShellPool', 'p', '-'),
      bad: bad?.conditions?.map(({ type, status }) => [type, status]),
    }
  }
  const before = await said()
  await stopReports()
  for (const [kind, namespace, name] of [
    ['ShellCronJob', NS, 'a'],
    ['ShellPool', '', 'p'],
  ] as const) {
    const ref = { kind, namespace, name }
    const object = context.resources.get(kind, namespace, name)
    await context.resources.applyStatus(ref, object?.metadata.uid ?? '', {})
  }
  report()
  await eventually('it is said again', async () => {
    const status = await statusOf<JobStatus>('ShellCronJob', 'a')
    return status?.runs?.length === 5 && (await statusOf<JobStatus>('ShellPool', 'p', '-'))?.conditions
  })
  expect(await said()).toEqual(before)
})

test('what went wrong in a run that succeeded becomes an Event', async () => {
  const event = vi.spyOn(context.resources, 'event')
  report()
  await fixture.write('a.yaml', cronJob('a'))
  await when('ShellCronJob', 'a', 'Ready Compiled')
  const uid = await uidOf('a')
  const message = 'a process was killed because memory ran out'
  await end({ uid, name: 'a', run: `${NS}.a.1000`, message, warnings: ['OOMKilled'] })
  await eventually('the Event is written', async () =>
    event.mock.calls.some(([, , { reason }]) => reason === 'OOMKilled'),
  )
  expect(event).toHaveBeenCalledWith({ kind: 'ShellCronJob', namespace: NS, name: 'a' }, uid, {
    type: 'Warning',
    reason: 'OOMKilled',
    message: `${NS}.a.1000: ${message}`,
  })
})
