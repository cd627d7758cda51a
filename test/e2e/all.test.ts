import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WAVE } from '../../core/keys.ts'
import { cellSchema } from '../../core/records/state.ts'
import type { RunStatus } from '../../core/schema/status.ts'
import { parseValue } from '../../store/protocol/versioned.ts'
import { eventually } from '../fault/eventually.ts'
import { type Fleet, startFleet } from '../fixtures/fleet.ts'
import { violations } from '../fixtures/promise.ts'

/** Mode All, on all targets at once and in waves: failed targets run again, absent ones catch up. */
let fleet: Fleet
beforeAll(async () => {
  fleet = await startFleet(['w1', 'w2', 'w3'])
  const agents = ['w1', 'w2', 'w3'].map(name => document('ShellAgent', name, { external: {} }))
  await fleet.write('agents.yaml', agents.join('---\n'))
  await fleet.operator.start()
  await Promise.all(['w1', 'w2'].map(name => fleet.agent(name).start()))
})
afterAll(() => fleet.stop())

const document = (kind: string, name: string, spec: object) =>
  `${JSON.stringify({ apiVersion: 'shellcron.dev/v1alpha1', kind, metadata: { name }, spec })}\n`
const say = () => `echo "$SHELLCRON_RUN_ID $SHELLCRON_ATTEMPT $SHELLCRON_AGENT" >> ${fleet.dir}/truth`
type JobSpec = Record<string, unknown> & { script?: string; target?: object }
const job = (name: string, { script = say(), target = {}, ...spec }: JobSpec) =>
  document('ShellCronJob', name, {
    schedule: '0 0 1 1 *',
    ...spec,
    template: { spec: { target: { mode: 'All', ...target }, host: {}, script } },
  })

async function statusOf(name: string): Promise<(RunStatus & { text: string }) | undefined> {
  const item = await fleet.client.get(fleet.keys.status('ShellRun', 'default', name))
  if (!item) return undefined
  const { status } = JSON.parse(item.value) as { status?: RunStatus }
  return status && { ...status, text: JSON.stringify(status.conditions) }
}
const ended = (name: string) =>
  eventually(`${name} ends`, async () => {
    const status = await statusOf(name)
    return status?.runs?.[0] && status
  })

test('a ShellRun of a job runs again on the targets that failed, and only there', async () => {
  const script = `${say()}; [ $SHELLCRON_AGENT != w2 ] || [ -e ${fleet.dir}/mended ]`
  await fleet.write('mend.yaml', job('mend', { script, target: { agents: ['w1', 'w2'], maxParallel: 1 } }))
  await fleet.write('first.yaml', document('ShellRun', 'first', { jobRef: { name: 'mend' } }))
  const first = await ended('first')
  expect(first).toMatchObject({
    phase: 'Failed',
    runs: [{ outcome: 'Failed', targets: { succeeded: 1, failed: 1, missed: 0 }, failedTargets: ['w2'] }],
  })
  await writeFile(join(fleet.dir, 'mended'), '')
  const targets = first.runs?.[0]?.failedTargets
  await fleet.write('again.yaml', document('ShellRun', 'again', { jobRef: { name: 'mend' }, targets }))
  expect(await ended('again')).toMatchObject({
    phase: 'Succeeded',
    runs: [{ outcome: 'Succeeded', targets: { succeeded: 1, failed: 0, missed: 0 } }],
  })
  expect((await fleet.truth()).map(line => line.split(' ')[2])).toEqual(
    expect.arrayContaining(['w1', 'w2', 'w2']),
  )
  expect(await fleet.truth()).toHaveLength(3)
  const rows = (await fleet.outcomes()).map(({ name, target, outcome }) => `${name} ${target} ${outcome}`)
  expect(rows.sort()).toEqual(['again w2 Succeeded', 'first w1 Succeeded', 'first w2 Failed'])

  await fleet.write(
    'strange.yaml',
    document('ShellRun', 'strange', { jobRef: { name: 'mend' }, targets: ['w3'] }),
  )
  const strange = await eventually('it is refused', async () => {
    const status = await statusOf('strange')
    return status?.text.includes('InvalidTargets') && status
  })
  expect(strange.text).toContain("must be one of the job's agents: w1, w2")
})

test('a member that was away catches up if its job says so; otherwise the time is Missed', async () => {
  const jobs = ['None', 'Latest', 'All', 'Late'].flatMap(name =>
    [undefined, 2].map(maxParallel => ({
      name: `${name.toLowerCase()}${maxParallel ? '-waves' : ''}`,
      spec: {
        schedule: '*/3 * * * * *',
        catchUp: name === 'Late' ? 'All' : name,
        ...(name === 'Late' ? { startingDeadlineSeconds: 5 } : {}),
        target: maxParallel ? { maxParallel } : {},
      },
    })),
  )
  const apply = (suspend: boolean) =>
    fleet.write('jobs.yaml', jobs.map(({ name, spec }) => job(name, { ...spec, suspend })).join('---\n'))
  const entries = async () => Promise.all(jobs.map(({ name }) => fleet.entry(name)))
  await apply(false)
  const inForce = await eventually('they are in force', async () => {
    const now = await entries()
    return now.every(entry => entry && !entry.suspended) && now.flatMap(entry => entry ?? [])
  })
  const ran = async (name: string, on: string) =>
    (await fleet.truth()).filter(line => line.startsWith(`default.${name}.`) && line.endsWith(` ${on}`))
      .length
  await eventually('the others have run', async () => (await ran('all', 'w1')) >= 4, 60_000)
  await fleet.agent('w3').start()
  await eventually('it has made up', async () =>
    (await Promise.all(['all', 'all-waves'].map(name => ran(name, 'w3')))).every(count => count >= 5),
  )
  const until = Date.now() - 4_000
  await apply(true)
  await eventually('everything is recorded', async () => {
    const now = await entries()
    return now.every(entry => entry?.suspended) && fleet.isQuiet()
  })
  const [outcomes, truth] = await Promise.all([fleet.outcomes(), fleet.truth()])
  const targets = ['w1', 'w2', 'w3']
  expect(inForce.flatMap(entry => violations({ entry, outcomes, truth, until, targets }))).toEqual([])
  const missed = (job: string) =>
    outcomes
      .filter(({ name, target, outcome }) => name === job && target === 'w3' && outcome === 'Missed')
      // The times that it had not reached when the test ended.
      .filter(({ reason }) => reason !== 'Suspended')
      .map(({ reason, range }) => ({ reason, count: range?.count ?? 1 }))
  for (const waves of ['', '-waves']) {
    const count = (job: string) => missed(`${job}${waves}`).reduce((sum, each) => sum + each.count, 0)
    expect(count('all')).toBe(0)
    expect(count('latest')).toBeGreaterThanOrEqual(2)
    // The two were not read at the same instant.
    expect(count('none')).toBeGreaterThanOrEqual(count('latest') - 1)
    expect(count('late')).toBeGreaterThanOrEqual(1)
    expect(missed(`late${waves}`)).toEqual(
      expect.arrayContaining([expect.objectContaining({ reason: 'DeadlineExceeded' })]),
    )
  }
})

test('an edit of maxParallel applies from the next start on; suspension and deletion leave no wave', async () => {
  const spec = { schedule: '*/3 * * * * *', script: `${say()}; sleep 600` }
  const apply = (maxParallel: number, more: JobSpec = {}) =>
    fleet.write('edit.yaml', job('edit', { ...spec, target: { maxParallel }, ...more }))
  const key = (target: string) =>
    fleet.keys.cell({ pool: 'default', kind: 'job', namespace: 'default', name: 'edit', target })
  const cell = async (target: string) =>
    parseValue(cellSchema, (await fleet.client.get(key(target)))?.value ?? '')
  const holders = async () => (await cell(WAVE))?.active.length ?? 0
  const later = async () => {
    const before = (await cell('w1'))?.lastFire ?? 0
    await eventually('another time has come', async () => ((await cell('w1'))?.lastFire ?? 0) > before)
  }
  await apply(1)
  await eventually('one runs, the others wait', async () => {
    const waiting = await Promise.all(['w1', 'w2', 'w3'].map(async name => (await cell(name))?.waiting?.wave))
    return (await holders()) === 1 && waiting.filter(wave => wave).length >= 2
  })
  await apply(2)
  await eventually('a second one runs', async () => (await holders()) === 2)
  await apply(1)
  await eventually('the edit is in force', async () => {
    const entry = await fleet.entry('edit')
    return entry?.command.placement.maxParallel === 1
  })
  await later()
  expect(await holders()).toBe(2)
  await apply(1, { suspend: true })
  await eventually('nothing waits', async () => {
    const cells = await Promise.all(['w1', 'w2', 'w3'].map(cell))
    return (await fleet.entry('edit'))?.suspended && cells.every(one => one && !one.waiting)
  })
  expect(await holders()).toBe(2)
  await rm(join(fleet.dir, 'objects', 'edit.yaml'))
  await eventually('no key is left', async () => {
    const { items } = await fleet.client.list(fleet.keys.cells())
    return !items.some(item => item.key.includes('/edit/')) && fleet.isQuiet()
  })
  const rows = (await fleet.outcomes()).filter(({ name }) => name === 'edit')
  expect(rows.filter(({ outcome }) => outcome === 'Killed' || outcome === 'Cancelled')).toHaveLength(2)
  expect(rows.some(({ outcome, reason }) => outcome === 'Skipped' && reason === 'WaveFull')).toBe(true)
})
