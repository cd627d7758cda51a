import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import { eventually } from '../fault/eventually.ts'
import { AGENT, type KubernetesFleet, startKubernetesFleet } from '../fixtures/kubernetes-fleet.ts'
import {
  cluster,
  host,
  job,
  NS,
  policy,
  run,
  trueConditions,
  type View,
  viewOf,
} from '../fixtures/kubernetes-objects.ts'

/** Jobs on several machines of a cluster, one of which lives; and objects that are created again. */
let fleet: KubernetesFleet
let see: View
/** Enrolled, but never started. */
const AWAY = 'server-2'

beforeAll(async () => {
  fleet = await startKubernetesFleet()
  see = viewOf(connectKubernetes(fleet.kubernetes.adminKubeconfig))
  await kubectl('create', 'namespace', NS)
  const member = { external: {}, labels: { role: 'web' } }
  await apply(
    policy(NS),
    cluster('ShellPool', 'default', { sessionTTLSeconds: 10 }),
    cluster('ShellAgent', AGENT, member),
    cluster('ShellAgent', AWAY, member),
  )
  await kubectl('wait', `sag/${AGENT}`, '--for=condition=Ready', '--timeout=60s')
})
afterAll(() => fleet?.stop())

const kubectl = (...args: string[]) => fleet.kubernetes.kubectl(args)
const apply = (...items: object[]) =>
  fleet.kubernetes.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })
const file = (name: string) => join(fleet.dir, name)
const lines = async (name: string) =>
  (await readFile(file(name), 'utf8').catch(() => '')).split('\n').slice(0, -1)
const EVERY_SECOND = { schedule: '* * * * * *' }
const ALL = { target: { mode: 'All', selector: { matchLabels: { role: 'web' } } } }

test('kubectl get sag shows which agents live', async () => {
  const rows = (await kubectl('get', 'sag')).split('\n').slice(1, 3)
  expect(rows[0]).toMatch(/^server-1 +default +True +0 +\S+ +\d+s$/)
  expect(rows[1]).toMatch(/^server-2 +default +False +0 +\d+s$/)
  const why = 'jsonpath={.status.conditions[0].reason}'
  expect(await kubectl('get', 'sag', AWAY, '-o', why)).toBe('NotConnected')
})

test('mode All: the target of an absent machine is Missed, and named', async () => {
  await apply(
    job('all', `echo "$SHELLCRON_AGENT" >> ${file('all')}`, {
      schedule: '*/2 * * * * *',
      startingDeadlineSeconds: 1,
      template: host(`echo "$SHELLCRON_AGENT" >> ${file('all')}`, ALL),
    }),
  )
  const { status } = await eventually(
    'a fire is over on both',
    async () => {
      const seen = await see.job('all')
      const counts = seen.status.runs?.map(({ targets }) => targets)
      return counts?.some(of => of?.succeeded === 1 && of.missed === 1) && seen
    },
    60_000,
  )
  expect(status.targets).toMatchObject({ matched: 2, ready: 1 })
  const fire = status.runs?.find(({ targets }) => targets?.succeeded === 1 && targets.missed === 1)
  expect(fire).toMatchObject({ outcome: 'Missed', failedTargets: [AWAY] })
  expect(new Set(await lines('all'))).toEqual(new Set([AGENT]))
  expect(await kubectl('get', 'scj', 'all', '-n', NS, '-o', 'wide')).toContain('All default role=web')
})

test('a ShellRun of some of its targets runs there only', async () => {
  await apply(run('again', { jobRef: { name: 'all' }, targets: [AGENT] }))
  const { status } = await see.settled(() => see.run('again'), 'Complete')
  expect(status.runs?.[0]?.targets).toEqual({ succeeded: 1, failed: 0, missed: 0 })
  await apply(run('nowhere', { jobRef: { name: 'all' }, targets: ['server-3'] }))
  const { conditions } = await see.settled(() => see.run('nowhere'), 'Reconciling')
  expect(conditions['Reconciling']).toMatchObject({
    reason: 'TargetNotFound',
    message: expect.stringContaining('spec.targets: the job selects no agent server-3') as string,
  })
  await kubectl('delete', 'scj/all', 'srun/again', 'srun/nowhere', '-n', NS, '--timeout=60s')
})

test('a job that is edited into an invalid one stops and says so; after another edit it continues from then', async () => {
  const good = job('turns', `echo "$SHELLCRON_SCHEDULED_TIME" >> ${file('turns')}`, EVERY_SECOND)
  await apply(good)
  await eventually('it runs', async () => (await lines('turns')).length > 1)
  await apply({ ...good, spec: { ...good.spec, timeZone: 'Mars/Base' } })
  const { status, conditions } = await see.settled(() => see.job('turns'), 'Stalled')
  expect(Object.keys(conditions)).not.toContain('Ready')
  expect(status.nextScheduleTime).toBeUndefined()
  await eventually('claimed runs have ended', async () => (await see.job('turns')).status.activeCount === 0)
  const before = (await lines('turns')).length
  await systemClock.sleep(2_500)
  expect((await lines('turns')).length).toBe(before)
  const mended = systemClock.now()
  await apply({ ...good, spec: { ...good.spec, timeZone: 'UTC' } })
  await eventually('it runs again', async () => (await lines('turns')).length > before)
  const times = await lines('turns')
  for (const time of times.slice(before)) expect(Date.parse(time)).toBeGreaterThan(mended)
  expect(new Set(times).size).toBe(times.length)
})

test('a job that is created again with its name has no history', async () => {
  const { metadata } = await see.job('turns')
  const once = JSON.stringify(job('turns', 'true'))
  await fleet.kubernetes.kubectl(['replace', '--force', '-f', '-'], { stdin: once })
  const anew = await see.settled(() => see.job('turns'), 'Ready')
  expect(anew.metadata.uid).not.toBe(metadata.uid)
  expect(anew.status.runs ?? []).toEqual([])
  expect(anew.status.lastScheduleTime).toBeUndefined()
  await kubectl('delete', 'scj/turns', '-n', NS, '--timeout=60s')
})

test('a Node has a ShellAgent while it exists', async () => {
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', labels: { role: 'db' } } })
  await eventually('its ShellAgent', async () =>
    (await kubectl('get', 'sag', '-o', 'name')).includes('node-1'),
  )
  await apply(
    job('db', 'true', {
      template: host('true', { target: { mode: 'All', selector: { matchLabels: { role: 'db' } } } }),
    }),
  )
  await eventually('it is a target', async () => (await see.job('db')).status.targets?.matched === 1)
  expect(trueConditions(await see.job('db'))['Ready']?.reason).toBe('Compiled')
  await kubectl('delete', 'node', 'node-1')
  // Kubernetes' garbage collector deletes what the Node owned.
  await kubectl('wait', 'sag/node-1', '--for=delete', '--timeout=60s')
  await eventually('it is none any more', async () => (await see.job('db')).status.targets?.matched === 0)
})

test('a cordoned agent claims nothing; an uncordoned one does', async () => {
  await kubectl('patch', 'sag', AGENT, '--type=merge', '-p', '{"spec":{"cordoned":true}}')
  await eventually('it reports that', async () => {
    const reason = await kubectl('get', 'sag', AGENT, '-o', 'jsonpath={.status.conditions[0].reason}')
    return reason === 'Cordoned'
  })
  await apply(run('held', { template: host('true') }))
  await see.settled(() => see.run('held'), 'Reconciling')
  await systemClock.sleep(2_000)
  expect((await see.run('held')).status.phase).toBe('Pending')
  await kubectl('patch', 'sag', AGENT, '--type=merge', '-p', '{"spec":{"cordoned":false}}')
  await see.settled(() => see.run('held'), 'Complete')
})
