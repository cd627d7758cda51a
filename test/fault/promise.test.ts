import { afterEach, expect, test } from 'vitest'
import type { JobEntry } from '../../core/records/entry.ts'
import { systemClock } from '../../platform/clock.ts'
import { type Fleet, startFleet } from '../fixtures/fleet.ts'
import { violations } from '../fixtures/promise.ts'
import { eventually } from './eventually.ts'

/** Every scheduled time gets exactly one recorded outcome, whatever dies. */
let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.stop()
  fleet = undefined
})

interface Job {
  name: string
  schedule: string
  spec?: string
  template?: string
}

const yaml = (
  dir: string,
  { name, schedule, spec = '', template = '' }: Job,
  suspend: boolean,
) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name} }
spec:
  schedule: "${schedule}"
  suspend: ${suspend}
${spec}  template:
    spec:
      host: {}
${template}      script: echo "$SHELLCRON_RUN_ID $SHELLCRON_ATTEMPT $SHELLCRON_AGENT" >> ${dir}/truth
`

async function apply(to: Fleet, jobs: readonly Job[], suspend = false): Promise<void> {
  await to.write('jobs.yaml', jobs.map(job => yaml(to.dir, job, suspend)).join('---\n'))
}

async function inForce(of: Fleet, jobs: readonly Job[]): Promise<JobEntry[]> {
  return eventually('the jobs are in force', async () => {
    const entries = await Promise.all(jobs.map(({ name }) => of.entry(name)))
    return entries.every(entry => entry !== undefined && !entry.suspended) && (entries as JobEntry[])
  })
}

/** Suspends the jobs and waits until everything is recorded. Resolves to the violations of the promise, and to the outcomes. */
async function settle(of: Fleet, jobs: readonly Job[], entries: readonly JobEntry[]) {
  const until = Date.now() - 2_000
  await apply(of, jobs, true)
  await eventually(
    'everything is recorded',
    async () => {
      const now = await Promise.all(jobs.map(({ name }) => of.entry(name)))
      return now.every(entry => entry?.suspended) && of.isQuiet()
    },
    90_000,
  )
  const [outcomes, truth] = await Promise.all([of.outcomes(), of.truth()])
  const counts: Record<string, number> = {}
  for (const { outcome, range } of outcomes) counts[outcome] = (counts[outcome] ?? 0) + (range?.count ?? 1)
  return {
    outcomes,
    truth,
    counts,
    violations: entries.flatMap(entry => violations({ entry, outcomes, truth, until })),
  }
}

const JOBS: Job[] = [
  { name: 'a', schedule: '* * * * * *' },
  { name: 'b', schedule: '* * * * * *', spec: '  timeZone: Asia/Kathmandu\n' },
  { name: 'c', schedule: '@every 1s', spec: '  catchUp: All\n' },
  { name: 'd', schedule: '* * * * * *', spec: '  concurrencyPolicy: Forbid\n' },
  { name: 'e', schedule: '*/2 * * * * *', spec: '  catchUp: None\n' },
  { name: 'f', schedule: '1/2 * * * * *', spec: '  timeZone: Australia/Lord_Howe\n' },
  { name: 'g', schedule: '@every 2s', spec: '  concurrencyPolicy: Replace\n' },
  { name: 'h', schedule: '*/2 * * * * *', spec: '  jitterSeconds: 2\n' },
  { name: 'i', schedule: '* * * * * *', template: '      backoffLimit: 1\n' },
  { name: 'j', schedule: '* * * * * *', template: '      target: { agents: [one] }\n' },
  { name: 'k', schedule: '*/2 * * * * *', template: '      target: { mode: Shards, shards: 3 }\n' },
]

test("it holds while an agent, etcd's leader and the operator are killed", async () => {
  fleet = await startFleet(['one', 'two'])
  const { operator, agent, etcd, truth } = fleet
  await operator.start()
  await agent('one').start()
  await agent('two').start()
  await apply(fleet, JOBS)
  const entries = await inForce(fleet, JOBS)
  const fires = async (count: number) =>
    eventually(`${count} fires`, async () => (await truth()).length >= count, 120_000)

  await fires(40)
  await agent('one').kill()
  await fires(90)
  await agent('one').start()
  await fires(120)
  const leader = await etcd.leader()
  await leader.kill()
  await fires(160)
  await leader.start()
  await operator.kill()
  await fires(220)
  await operator.start()
  await agent('two').kill()
  await fires(260)
  await agent('two').start()
  await fires(300)

  const { violations, counts } = await settle(fleet, JOBS, entries)
  expect(violations).toEqual([])
  expect(counts.Succeeded).toBeGreaterThanOrEqual(200)
}, 300_000)

test('it holds without the operator: agents continue, and everything is stored when it returns', async () => {
  const jobs = JOBS.slice(0, 3)
  fleet = await startFleet(['one'])
  await fleet.operator.start()
  await fleet.agent('one').start()
  await apply(fleet, jobs)
  const entries = await inForce(fleet, jobs)
  await eventually('it runs', async () => ((await fleet?.truth()) ?? []).length > 3)
  await fleet.operator.kill()
  const gone = Date.now()
  const before = (await fleet.truth()).length
  await systemClock.sleep(60_000)
  const during = (await fleet.truth()).length - before
  expect(during).toBeGreaterThanOrEqual(Math.floor((Date.now() - gone) / 1_000) * 3 - 6)
  await fleet.operator.start()
  const { violations, counts } = await settle(fleet, jobs, entries)
  expect(violations).toEqual([])
  // Runs that were claimed but not started are cancelled by the suspension.
  const { Succeeded = 0, Cancelled = 0, ...others } = counts
  expect(others).toEqual({})
  expect(Cancelled).toBeLessThanOrEqual(jobs.length)
  expect(Succeeded).toBeGreaterThanOrEqual(during)
}, 240_000)

test('it holds without agents: each time is missed or caught up, as its job says', async () => {
  const jobs: Job[] = [
    { name: 'none', schedule: '*/5 * * * * *', spec: '  catchUp: None\n' },
    { name: 'latest', schedule: '*/5 * * * * *' },
    { name: 'all', schedule: '*/5 * * * * *', spec: '  catchUp: All\n' },
    { name: 'two', schedule: '*/5 * * * * *', spec: '  catchUp: All\n  catchUpLimit: 2\n' },
    { name: 'deadline', schedule: '*/5 * * * * *', spec: '  catchUp: All\n  startingDeadlineSeconds: 8\n' },
  ]
  fleet = await startFleet(['one'])
  await fleet.operator.start()
  await fleet.agent('one').start()
  await apply(fleet, jobs)
  const entries = await inForce(fleet, jobs)
  await eventually('each has run', async () => ((await fleet?.truth()) ?? []).length >= 5)
  await fleet.agent('one').kill()
  await systemClock.sleep(60_000)
  const returned = Date.now()
  await fleet.agent('one').start()
  const back = (await fleet.truth()).length
  await eventually('they run again', async () => ((await fleet?.truth()) ?? []).length >= back + 12, 60_000)
  // In order: a time after the return is claimed once all earlier ones are. Times that are still unclaimed at the end are missed.
  const isNew = (line: string) => Number(/^default\.all\.(\d+) /.exec(line)?.[1]) > returned
  await eventually('all is caught up', async () => ((await fleet?.truth()) ?? []).some(isNew), 60_000)
  const { violations, outcomes } = await settle(fleet, jobs, entries)
  expect(violations).toEqual([])
  const missed = (job: string) =>
    outcomes
      .filter(({ name, outcome }) => name === job && outcome === 'Missed')
      .reduce((sum, { range }) => sum + (range?.count ?? 1), 0)
  expect(missed('all')).toBe(0)
  expect(missed('none')).toBeGreaterThanOrEqual(3)
  expect(missed('latest')).toBeGreaterThanOrEqual(3)
  expect(missed('two')).toBeGreaterThanOrEqual(2)
  expect(missed('two')).toBeLessThan(missed('none') + 1)
  expect(missed('deadline')).toBeGreaterThanOrEqual(2)
}, 240_000)
