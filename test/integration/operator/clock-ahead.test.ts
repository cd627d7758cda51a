import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { clockEpochIn, scheduledIn } from '../../../core/keys.ts'
import type { JobStatus } from '../../../core/schema/status.ts'
import { latestRun } from '../../../operator/output/attempts.ts'
import { createResultReporter } from '../../../operator/status/report-results.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { eventually } from '../../fault/eventually.ts'
import { startAgentOf } from '../../fixtures/agent-of-operator.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'
import { shiftedClock } from '../../fixtures/shifted-clock.ts'

/** A clock that is two days ahead when the operator and the agent start, and then set right. */
const fixture = operatorForEach()
const DAY = 86_400_000
const EVERY = 5_000

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  vi.restoreAllMocks()
})

/** The operator with its log store and status, and one agent. */
async function startFleet() {
  const clock = shiftedClock(2 * DAY)
  const operator = await fixture.operator({ clock })
  const { context } = operator
  const logStore = openSqliteLogStore(join(fixture.dir, '.log.db'))
  const ended = new AbortController()
  const statuses = new Map<string, JobStatus>()
  const events = vi.spyOn(context.resources, 'event')
  const reporting = createResultReporter({
    logStore,
    onStatus: ({ name }, _, status) => void statuses.set(name, status as JobStatus),
  })(context, ended.signal)
  cleanups.push(async () => {
    ended.abort(new Error('the test is over'))
    await reporting
    await logStore.close()
  })
  await fixture.write('a0.yaml', object('ShellAgent', 'a0', { external: {} }))
  const agent = await startAgentOf(operator, {
    name: 'a0',
    where: fixture.where,
    dir: fixture.dir,
    clock,
  })
  cleanups.push(() => agent.stop())
  const truth = join(fixture.dir, '.truth')
  return {
    clock,
    events,
    truth,
    latest: () =>
      latestRun(
        { mirrors: context.mirrors, store: logStore },
        { kind: 'job', namespace: NS, name: 'j' },
        clock.now(),
      ),
    status: (name: string) => statuses.get(name),
    ran: async () => (await readFile(truth, 'utf8').catch(() => '')).split('\n').filter(Boolean),
    history: async () => (await logStore.history({ namespace: NS, limit: 1_000 })).rows,
  }
}

const epochOne = (runs: string[]) => runs.filter(id => clockEpochIn(id) === 1)

test('the job runs again when the clock is right; what ran before keeps its record; each time has one outcome', async () => {
  const fleet = await startFleet()
  const script = `echo "$SHELLCRON_RUN_ID" >> ${fleet.truth}`
  await fixture.write('j.yaml', cronJob('j', { schedule: '*/5 * * * * *', template: { script } }))
  await eventually('it runs under the wrong clock', async () => (await fleet.ran()).length >= 2)
  expect(clockEpochIn((await fleet.latest()) ?? '')).toBe(0)
  fleet.clock.by = 0
  const rightAt = Date.now()
  await eventually('it runs at real times', async () => epochOne(await fleet.ran()).length >= 2, 60_000)

  const entry = await eventually('its entry', () => fixture.job('j'))
  expect(entry).toMatchObject({ suspended: false, clockEpoch: 1 })
  expect(clockEpochIn((await fleet.latest()) ?? '')).toBe(1)
  const [first = ''] = epochOne(await fleet.ran())
  // Three beacons, and the job's next time.
  expect((scheduledIn(first) ?? 0) - rightAt).toBeLessThan(20_000 + EVERY)

  // Every time from the new epoch on has one outcome, and no run was repeated.
  const runs = await fleet.ran()
  expect(new Set(runs).size).toBe(runs.length)
  const rows = await eventually('their outcomes', async () => {
    const all = await fleet.history()
    return runs.every(id => all.some(({ run }) => run === id)) && all
  })
  const succeeded = rows.filter(({ outcome }) => outcome === 'Succeeded').map(({ run }) => run)
  expect(succeeded.toSorted()).toEqual(expect.arrayContaining(runs.toSorted()))
  const real = rows.filter(({ run }) => clockEpochIn(run) === 1).map(({ time }) => time)
  const times = real.toSorted((a, b) => a - b)
  for (const [n, time] of times.entries()) expect(time).toBe((times[0] ?? 0) + n * EVERY)
  expect(Math.min(...times)).toBeLessThanOrEqual(entry.scheduleChangedAt + EVERY)

  expect(fleet.events.mock.calls.map(([, , { reason }]) => reason)).toEqual(['ClockSetBack'])
  const isReal = (time: string | undefined) => time !== undefined && Date.parse(time) < Date.now() + 10_000
  const isCurrent = (now: JobStatus | undefined) =>
    isReal(now?.lastScheduleTime) && isReal(now?.lastSuccessfulTime) && now?.runs?.[0]?.id.endsWith('~1')
  await eventually('the status', () => isCurrent(fleet.status('j')))
  const ready = fleet.status('j')?.conditions?.find(({ type }) => type === 'Ready')
  expect(ready).toMatchObject({
    status: 'True',
    message: expect.stringContaining("operator's clock was ahead until"),
  })
}, 150_000)

test('a run of the wrong clock goes on under its own id, and a time that waited for it is Skipped', async () => {
  const fleet = await startFleet()
  const script = `echo "$SHELLCRON_RUN_ID" >> ${fleet.truth}; while ! [ -e ${fleet.truth}.end ]; do sleep 0.1; done`
  const spec = { concurrencyPolicy: 'Forbid' }
  await fixture.write('j.yaml', cronJob('j', { schedule: '*/5 * * * * *', spec, template: { script } }))
  await eventually(
    'it runs, and the next time waits',
    async () => (await fixture.cell('j'))?.waiting !== undefined,
  )
  const [early = ''] = await fleet.ran()
  const waited = (await fixture.cell('j'))?.waiting?.time
  fleet.clock.by = 0
  await eventually('the new clock epoch', async () => (await fixture.job('j'))?.clockEpoch === 1, 60_000)
  const cell = await fixture.cell('j')
  expect(cell?.active.map(({ run }) => run)).toContain(early)
  expect(cell?.lastFire).toBeLessThan(Date.now() + 10_000)
  await fixture.write('.truth.end', '')
  await eventually(
    'it ends, and the job runs again',
    async () => epochOne(await fleet.ran()).length > 0,
    60_000,
  )
  const rows = await eventually('the outcomes', async () => {
    const all = await fleet.history()
    return all.some(({ run }) => run === early) && all
  })
  expect(rows.filter(({ run }) => run === early)).toMatchObject([{ outcome: 'Succeeded', final: true }])
  expect(rows.filter(({ time }) => time === waited)).toMatchObject([
    { outcome: 'Skipped', reason: 'ClockSetBack' },
  ])
}, 150_000)
