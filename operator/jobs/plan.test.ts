import { describe, expect, test } from 'vitest'
import { type JobEntry, jobEntrySchema } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import { entryTimes } from '../entry-times.ts'
import type { CellSeen } from '../etcd-mirrors.ts'
import type { Desired, JobState, StoredEntry } from './job-state.ts'
import { planJob } from './plan.ts'

/** Cases of one job: the stored state, the desired state, and the next steps. */
const T0 = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const NOW = T0 + 2.5 * HOUR

const command = (placement: object = {}, script = 'true') => ({
  placement,
  host: {},
  shell: ['/bin/sh', '-c'],
  script,
  outputLimit: 1,
})

const entry = (over: object = {}): JobEntry =>
  jobEntrySchema.parse({
    kind: 'job',
    uid: 'u',
    generation: 1,
    pool: 'default',
    namespace: 'ops',
    name: 'a',
    command: command(),
    schedules: ['0 * * * *'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: T0,
    epoch: 1,
    ...over,
  })

const want = (over: object = {}): Desired => {
  const { scheduleChangedAt: _, ...rest } = entry(over)
  return { kind: 'entry', entry: rest }
}
const stored = (value: JobEntry, pool = value.pool): StoredEntry => ({
  key: `/shellcron/v1/jobs/${pool}/ops/a`,
  mod: 7,
  pool,
  value,
})
const cell = (target: string, over: Partial<Cell> = {}, pool = 'default'): CellSeen => ({
  key: `cell/${target}`,
  mod: 3,
  ref: { pool, kind: 'job', namespace: 'ops', name: 'a', target },
  value: { uid: 'u', lastFire: T0 + 2 * HOUR, active: [], ...over },
})
const running = { active: [{ run: `ops.a.${T0}`, agent: 'w1', attempt: 1 }] }

const plan = (over: Partial<JobState>) =>
  planJob({
    now: NOW,
    desired: want(),
    stored: [],
    cells: [],
    members: () => ['w1', 'w2'],
    timesOf: entry => entryTimes(entry).times,
    ...over,
  })
/** A step in short: its kind, and its subject. */
const steps = (over: Partial<JobState>) => {
  const { steps, then } = plan(over)
  return [
    ...steps.map(step => {
      if (step.do === 'put' || step.do === 'move')
        return {
          do: step.do,
          suspended: step.entry.suspended,
          editing: step.entry.editing,
          from: step.entry.scheduleChangedAt,
        }
      if (step.do === 'settle') return { do: step.do, target: step.cell.ref.target, settle: step.settle }
      if (step.do === 'remove') return { do: step.do, pool: step.stored.pool }
      return { do: step.do, target: step.cell.ref.target }
    }),
    then,
  ]
}
const editing = { at: NOW - 1_000, settle: 'Rescheduled' }

test('an entry that is as it should be is not changed', () => {
  expect(steps({ stored: [stored(entry())], cells: [cell('-')] })).toEqual(['done'])
})

test('a new job counts from now', () => {
  expect(steps({})).toEqual([{ do: 'put', suspended: false, editing: undefined, from: NOW }, 'again'])
})

test('a new job of mode All is suspended until its cells exist', () => {
  const all = command({ mode: 'All' })
  expect(steps({ desired: want({ command: all }) })).toMatchObject([
    { suspended: true, editing: { at: NOW } },
    'again',
  ])
  const begun = stored(entry({ command: all, suspended: true, editing: { at: NOW } }))
  const on = { desired: want({ command: all }), stored: [begun] }
  expect(steps(on)).toEqual([{ do: 'cell', target: 'w1' }, { do: 'cell', target: 'w2' }, 'again'])
  const cells = ['w1', 'w2'].map(target => cell(target, { lastFire: NOW }))
  expect(steps({ ...on, cells })).toEqual([
    { do: 'put', suspended: false, editing: undefined, from: NOW },
    'again',
  ])
})

test('an edit of the template replaces the entry; its times continue', () => {
  const desired = want({ generation: 2, command: command({}, 'false') })
  expect(steps({ desired, stored: [stored(entry())], cells: [cell('-')] })).toEqual([
    { do: 'put', suspended: false, editing: undefined, from: T0 },
    'again',
  ])
})

test('an object that is older than its stored entry changes nothing', () => {
  expect(steps({ stored: [stored(entry({ generation: 2 }))] })).toEqual(['stale'])
})

test.each<[string, object, string]>([
  ['schedule', { schedules: ['5 * * * *'] }, 'Rescheduled'],
  ['zone', { timeZone: 'Asia/Shanghai' }, 'Rescheduled'],
  ['daylightSaving', { daylightSaving: { skipped: 'Skip', repeated: 'RunOnce' } }, 'Rescheduled'],
  ['mode', { command: command({ mode: 'All' }) }, 'Retargeted'],
  ['selector', { command: command({ selector: { matchLabels: { a: 'b' } } }) }, 'Retargeted'],
  ['agents', { command: command({ agents: ['w1'] }) }, 'Retargeted'],
  ['suspend', { suspended: true }, 'Suspended'],
  ['the epoch of etcd', { epoch: 2 }, 'SnapshotRestored'],
])('an edit of %s first suspends the job', (_, over, settle) => {
  expect(steps({ desired: want({ generation: 2, ...over }), stored: [stored(entry())] })).toMatchObject([
    { do: 'put', suspended: true, editing: { at: NOW, settle } },
    'again',
  ])
})

test('maxParallel changes neither times nor targets', () => {
  const all = { mode: 'All' }
  const cells = ['w1', 'w2'].map(target => cell(target))
  const desired = want({ generation: 2, command: command({ ...all, maxParallel: 2 }) })
  expect(steps({ desired, stored: [stored(entry({ command: command(all) }))], cells })).toMatchObject([
    { do: 'put', suspended: false },
    'again',
  ])
})

test('then every cell is settled up to the time of the edit, by the old schedule', () => {
  const desired = want({ generation: 2, schedules: ['5 * * * *'] })
  const on = { desired, stored: [stored(entry({ suspended: true, editing }))] }
  const missed = (first: number, count: number) => ({
    do: 'settle',
    target: '-',
    settle: [
      { first: T0 + first * HOUR, last: T0 + 2 * HOUR, count, outcome: 'Missed', reason: 'Rescheduled' },
    ],
  })
  expect(steps(on)).toEqual([missed(1, 2), 'again'])
  expect(steps({ ...on, cells: [cell('-', { lastFire: T0 + HOUR })] })).toEqual([missed(2, 1), 'again'])
})

test('then the new entry counts from that time, or from a later time that was already claimed', () => {
  const desired = want({ generation: 2, schedules: ['5 * * * *'] })
  const on = { desired, stored: [stored(entry({ suspended: true, editing }))] }
  expect(steps({ ...on, cells: [cell('-')] })).toMatchObject([
    { suspended: false, editing: undefined, from: editing.at },
    'again',
  ])
  expect(steps({ ...on, cells: [cell('-', { lastFire: NOW + 400 })] })).toMatchObject([
    { from: NOW + 400 },
    'again',
  ])
})

test('a suspension ends a waiting time as Skipped', () => {
  const suspended = stored(entry({ suspended: true, editing: { at: NOW, settle: 'Suspended' } }))
  const waiting = { waiting: { time: T0 + 2 * HOUR, by: 'w1' } }
  expect(
    plan({ desired: want({ suspended: true }), stored: [suspended], cells: [cell('-', waiting)] }).steps,
  ).toMatchObject([{ do: 'settle', settle: [{ outcome: 'Skipped', reason: 'Suspended' }] }])
})

test('a resumed job counts from now: the times in between are skipped', () => {
  expect(steps({ stored: [stored(entry({ suspended: true }))], cells: [cell('-')] })).toEqual([
    { do: 'put', suspended: false, editing: undefined, from: NOW },
    'again',
  ])
})

test('a blocked job is settled with its reason before it is active again', () => {
  const blocked = { reason: 'PoolNotFound', message: 'none' }
  const first = steps({ stored: [stored(entry({ blocked }))] })
  expect(first).toMatchObject([{ suspended: true, editing: { settle: 'Unblocked' } }, 'again'])
  const settled = plan({ stored: [stored(entry({ blocked, suspended: true, editing }))] })
  expect(settled.steps).toMatchObject([{ settle: [{ reason: 'PoolNotFound' }] }])
})

test('an invalid schedule suspends the stored entry, and puts no new one', () => {
  const desired: Desired = {
    kind: 'timeless',
    uid: 'u',
    generation: 2,
    blocked: { reason: 'InvalidSchedule', message: '' },
  }
  expect(steps({ desired })).toEqual(['done'])
  expect(steps({ desired, stored: [stored(entry())] })).toMatchObject([
    { editing: { settle: 'InvalidSchedule' } },
    'again',
  ])
})

test('a move to another pool: settled, runs ended, then the new entry replaces the old one and its cells', () => {
  const desired = want({ generation: 2, pool: 'db' })
  expect(steps({ desired, stored: [stored(entry())] })).toMatchObject([
    { editing: { settle: 'PoolChanged' } },
    'again',
  ])
  const on = { desired, stored: [stored(entry({ suspended: true, editing }))] }
  expect(steps({ ...on, cells: [cell('-', running)] })).toEqual([{ do: 'kill', target: '-' }, 'wait'])
  expect(steps({ ...on, cells: [cell('-')] })).toMatchObject([
    { do: 'move', suspended: false, from: editing.at },
    'again',
  ])
})

test('a deletion: suspended, settled, runs ended, then no key is left', () => {
  const desired: Desired = { kind: 'gone', kill: true }
  expect(steps({ desired, stored: [stored(entry())] })).toMatchObject([
    { editing: { settle: 'Deleted' } },
    'again',
  ])
  const on = {
    desired,
    stored: [stored(entry({ suspended: true, editing: { at: NOW, settle: 'Deleted' } }))],
  }
  expect(steps({ ...on, cells: [cell('-', { lastFire: T0 })] })).toMatchObject([{ do: 'settle' }, 'again'])
  expect(steps({ ...on, cells: [cell('-', running)] })).toEqual([{ do: 'kill', target: '-' }, 'wait'])
  expect(steps({ ...on, cells: [cell('-')] })).toEqual([{ do: 'remove', pool: 'default' }, 'again'])
  expect(steps({ desired })).toEqual(['done'])
})

test('a ShellRun in the job’s cell does not delay its deletion', () => {
  const active = [{ run: 'ops.now.run-0a1b2c3d', agent: 'w1', attempt: 1 }]
  const on = { stored: [stored(entry({ suspended: true }))], cells: [cell('-', { active })] }
  expect(steps({ desired: { kind: 'gone', kill: true }, ...on })).toEqual([
    { do: 'remove', pool: 'default' },
    'again',
  ])
})

test('draining waits for runs and ends none', () => {
  const on = { stored: [stored(entry({ suspended: true }))], cells: [cell('-', running)] }
  expect(steps({ desired: { kind: 'gone', kill: false }, ...on })).toEqual(['wait'])
})

test('an object that was created again: the old entry is removed first', () => {
  expect(steps({ stored: [stored(entry({ uid: 'old', suspended: true }))] })).toEqual([
    { do: 'remove', pool: 'default' },
    'again',
  ])
})

test('an entry with another signature is replaced', () => {
  expect(plan({ stored: [{ ...stored(entry()), value: undefined }] }).steps).toMatchObject([
    { do: 'put', mod: 7 },
  ])
})

test('a former target: settled up to now, retired, its run ended, its cell deleted', () => {
  const all = { command: command({ mode: 'All' }) }
  const on = { desired: want(all), stored: [stored(entry(all))], members: () => ['w1'] }
  const others = cell('w1')
  const after = (over: Partial<Cell>) => steps({ ...on, cells: [others, cell('w2', over)] })
  expect(after({ lastFire: T0 })).toMatchObject([
    { do: 'settle', target: 'w2', settle: [{ reason: 'TargetGone' }] },
    'again',
  ])
  expect(after(running)).toEqual([{ do: 'cell', target: 'w2' }, 'again'])
  expect(after({ ...running, retired: true })).toEqual([{ do: 'kill', target: 'w2' }, 'wait'])
  expect(after({ retired: true })).toEqual([{ do: 'forget', target: 'w2' }, 'again'])
  expect(after({ retired: true, lastFire: NOW + 1 })).toEqual(['wait'])
})

test('the cell of the wave is not a target', () => {
  const all = { command: command({ mode: 'All', maxParallel: 1 }) }
  const cells = [cell('w1'), cell('w2'), cell('@wave')]
  expect(steps({ desired: want(all), stored: [stored(entry(all))], cells })).toEqual(['done'])
})

test('only the run that the user wants to kill is killed', () => {
  const active = [...running.active, { run: 'ops.a.9', agent: 'w2', attempt: 1 }]
  const killed = plan({ stored: [stored(entry())], cells: [cell('-', { active })], kill: 'ops.a.9' })
  expect(killed).toMatchObject({ steps: [{ do: 'kill', run: 'ops.a.9', reason: 'Requested' }], then: 'wait' })
  // In All and Shards the id is that of the fire: each of its runs is killed.
  const parts = { active: [{ run: 'ops.a.9.w1', agent: 'w1', attempt: 1 }] }
  expect(
    plan({ stored: [stored(entry())], cells: [cell('w1', parts)], kill: 'ops.a.9' }).steps,
  ).toContainEqual(expect.objectContaining({ do: 'kill', run: 'ops.a.9' }))
})

describe('times that were used under a clock that was ahead', () => {
  const AHEAD = NOW + 48 * HOUR
  const at = { at: NOW, settle: 'ClockSetBack', clock: { epoch: 1, until: AHEAD } }
  const begun = (over: object = {}) => stored(entry({ suspended: true, editing: at, ...over }))
  const ahead = { lastFire: AHEAD }
  const clockWasAhead = true

  test('suspend the job, only after three looks', () => {
    const on = { stored: [stored(entry())], cells: [cell('-', ahead)] }
    expect(steps(on)).toEqual(['done'])
    expect(steps({ ...on, clockWasAhead })).toEqual([
      { do: 'put', suspended: true, editing: at, from: T0 },
      'again',
    ])
  })

  test.each<[string, object, Partial<Cell>]>([
    ['a cell', {}, ahead],
    ['the instant of an edit', { scheduleChangedAt: AHEAD }, {}],
    ['an edit that is not finished', { suspended: true, editing: { at: AHEAD, settle: 'Rescheduled' } }, {}],
    ['an earlier new epoch', { suspended: true, editing: { ...at, at: AHEAD } }, {}],
  ])('are found in %s', (_, over, of) => {
    expect(
      plan({ stored: [stored(entry(over))], cells: [cell('-', of)], clockWasAhead }).steps,
    ).toMatchObject([{ do: 'put', entry: { suspended: true, editing: at } }])
  })

  test('a time that was claimed before it was due is not ahead', () => {
    const cells = [cell('-', { lastFire: NOW + 7_000 })]
    expect(steps({ stored: [stored(entry())], cells, clockWasAhead })).toEqual(['done'])
  })

  test('a waiting time is Skipped, then the frontier is set back; active runs stay', () => {
    const waiting = { ...ahead, ...running, waiting: { time: AHEAD, by: 'w1' } }
    expect(steps({ stored: [begun()], cells: [cell('-', waiting)], clockWasAhead })).toEqual([
      {
        do: 'settle',
        target: '-',
        settle: [{ first: AHEAD, last: AHEAD, count: 1, outcome: 'Skipped', reason: 'ClockSetBack' }],
      },
      'again',
    ])
    const { steps: next } = plan({
      stored: [begun()],
      cells: [cell('-', { ...ahead, ...running })],
      clockWasAhead,
    })
    expect(next).toMatchObject([{ do: 'cell', value: { uid: 'u', lastFire: NOW, ...running } }])
  })

  test('then the job counts from the edit, in the next clock epoch', () => {
    const next = plan({ stored: [begun()], cells: [cell('-', { lastFire: NOW })], clockWasAhead })
    expect(next).toMatchObject({
      steps: [
        {
          do: 'put',
          entry: {
            suspended: false,
            scheduleChangedAt: NOW,
            clockEpoch: 1,
            clockSetBack: { at: NOW, until: AHEAD },
          },
        },
      ],
      then: 'again',
    })
    expect(next.steps[0]).not.toHaveProperty('entry.editing')
  })

  test('in All each target is settled or set back, former ones too', () => {
    const all = { command: command({ mode: 'All' }) }
    const behind = cell('w2', { lastFire: T0 + HOUR })
    const cells = [cell('w1', ahead), behind, cell('w3', { ...ahead, retired: true }), cell('@wave')]
    const on = { desired: want(all), stored: [begun(all)], clockWasAhead }
    expect(plan({ ...on, cells }).steps).toMatchObject([
      {
        do: 'settle',
        cell: { ref: { target: 'w2' } },
        settle: [{ outcome: 'Missed', reason: 'ClockSetBack' }],
      },
    ])
    const settled = cells.map(one => (one.ref.target === 'w2' ? cell('w2', { lastFire: NOW }) : one))
    expect(steps({ ...on, cells: settled })).toEqual([
      { do: 'cell', target: 'w1' },
      { do: 'cell', target: 'w3' },
      'again',
    ])
  })

  test('a suspended job stays suspended, and none of its times is settled', () => {
    const suspended = { suspended: true }
    const on = { desired: want(suspended), cells: [cell('-', ahead)], clockWasAhead }
    const { settle: _, ...unsettled } = at
    expect(steps({ ...on, stored: [stored(entry(suspended))] })).toMatchObject([
      { do: 'put', suspended: true, editing: unsettled },
      'again',
    ])
    const next = { ...on, stored: [begun({ editing: unsettled })], cells: [cell('-', { lastFire: NOW })] }
    expect(plan(next).steps).toMatchObject([
      { do: 'put', entry: { suspended: true, scheduleChangedAt: NOW, clockEpoch: 1 } },
    ])
  })

  test('a move to another pool ends in the next clock epoch too', () => {
    const on = { desired: want({ pool: 'db' }), stored: [begun()], clockWasAhead }
    expect(steps({ ...on, cells: [cell('-', ahead)] })).toEqual([{ do: 'cell', target: '-' }, 'again'])
    expect(plan({ ...on, cells: [cell('-', { lastFire: NOW })] }).steps).toMatchObject([
      { do: 'move', entry: { pool: 'db', scheduleChangedAt: NOW, clockEpoch: 1 } },
    ])
  })

  test('an edit keeps the clock epoch', () => {
    const second = { clockEpoch: 1, clockSetBack: { at: T0, until: AHEAD } }
    const desired = want({ generation: 2, command: command({}, 'false') })
    expect(plan({ desired, stored: [stored(entry(second))], cells: [cell('-')] }).steps).toMatchObject([
      { do: 'put', entry: second },
    ])
  })
})
