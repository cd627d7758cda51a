import { expect, test } from 'vitest'
import { ANYWHERE, type CellRef, createKeys } from '../../core/keys.ts'
import { type Entry, jobEntrySchema, runEntrySchema } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import { claim } from './claim.ts'
import { moveFrontier } from './move-frontier.ts'
import { restamp } from './restamp.ts'

const keys = createKeys('/claim/v1/')
const T0 = 1_750_000_000_000
const command = (mode: 'One' | 'All') => ({
  placement: { mode, agents: [] },
  host: {},
  shell: ['/bin/sh', '-c'],
  script: 'true',
  outputLimit: 0,
})
const of = { uid: 'u1', generation: 1, namespace: 'ops', name: 'a', pool: 'default' }
const job = jobEntrySchema.parse({
  kind: 'job',
  ...of,
  schedules: ['@hourly'],
  timeZone: 'UTC',
  daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
  scheduleChangedAt: 0,
  command: command('All'),
})
const entry = { key: 'entry', mod: 1, value: job }
const cell: Cell = { uid: 'u1', lastFire: T0, active: [] }

test('a retired target stays retired when its frontier moves', () => {
  expect(moveFrontier({ ...cell, retired: true }, { entry, time: T0 + 1, settle: [] })).toMatchObject({
    lastFire: T0 + 1,
    retired: true,
  })
  expect(moveFrontier(cell, { entry, time: T0 + 1, settle: [] })).not.toHaveProperty('retired')
})

const continuing = (activeDeadlineSeconds: number) => ({
  ...entry,
  value: {
    ...job,
    command: { ...job.command, onDisconnect: 'Continue' as const, activeDeadlineSeconds },
  },
})

test('a run that continues without its agent is spared from its start, not from its scheduled time', () => {
  const ref: CellRef = { pool: 'default', kind: 'job', namespace: 'ops', name: 'a', target: ANYWHERE }
  const claimed = (of: typeof entry, now: number) =>
    claim({
      keys,
      ref,
      agent: 'w1',
      session: 7,
      entry: of,
      cell: { key: keys.cell(ref), mod: 1, value: cell },
      run: 'ops.a.1',
      time: T0,
      notBefore: T0,
      instance: 'boot/1',
      settle: [],
      now,
    }).active
  const longest = 600_000 + job.command.terminationGracePeriodSeconds * 1_000
  const spared = (active: { buryAfter?: number | undefined }) => (active.buryAfter ?? 0) - longest
  for (const [now, start] of [
    [T0 - 500, T0],
    [T0 + 3_600_000, T0 + 3_600_000],
  ] as const) {
    const late = spared(claimed(continuing(600), now)) - start
    expect(late).toBeGreaterThan(5_000)
    expect(late).toBeLessThan(30_000)
  }
  expect(claimed(entry, T0)).not.toHaveProperty('buryAfter')

  // Edited before it started: the new deadline applies, and counts from now.
  const active = { key: 'active', mod: 3, value: claimed(continuing(600), T0) }
  const change = { instance: 'boot/2', now: T0 + 60_000 }
  const longer = restamp(active, change, continuing(1_200)).active
  expect(longer.instance).toBe('boot/2')
  expect(spared(longer)).toBeGreaterThan(T0 + 660_000)
  expect(restamp(active, change, entry).active).not.toHaveProperty('buryAfter')
})

/** The job's cell that the claim of a ShellRun creates. */
function madeBy(mode: 'One' | 'All', target: string): Cell {
  const ref: CellRef = { pool: 'default', kind: 'run', namespace: 'ops', name: 'r', target }
  const run = runEntrySchema.parse({
    kind: 'run',
    ...of,
    uid: 'r1',
    name: 'r',
    jobRef: { name: 'a', uid: 'u1' },
    createdAt: T0,
    deadline: T0 + 600_000,
    command: command(mode),
  })
  const absent = (key: string) => ({ key, mod: 0, value: undefined })
  const jobKey = keys.cell({ ...ref, kind: 'job', name: 'a' })
  const { txn } = claim({
    keys,
    ref,
    agent: 'w1',
    session: 7,
    entry: { key: 'entry', mod: 1, value: run as Entry },
    cell: absent(keys.cell(ref)),
    run: 'ops.r.run-r1',
    time: T0,
    notBefore: T0,
    instance: 'i',
    settle: [],
    now: T0 + 1_000,
    jobCell: absent(jobKey),
    jobName: 'a',
  })
  const put = txn.then.find(op => 'put' in op && op.put === jobKey) as { value: string }
  return JSON.parse(put.value) as Cell
}

test("with All, a ShellRun that creates its job's cell settles the past of the new target", () => {
  const active = [{ run: 'ops.r.run-r1', agent: 'w1', attempt: 1 }]
  expect(madeBy('All', 'w1')).toEqual({ uid: 'u1', lastFire: T0 + 1_000, active })
  // With One the job counts from its schedule's last change, whether or not a ShellRun created the cell.
  expect(madeBy('One', ANYWHERE)).toEqual({ uid: 'u1', lastFire: 0, active })
})
