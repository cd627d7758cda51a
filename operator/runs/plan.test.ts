import { expect, test } from 'vitest'
import { runEntrySchema } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { CellSeen } from '../etcd-mirrors.ts'
import { planRun, type RunState } from './plan.ts'

const T0 = Date.UTC(2026, 0, 1)
const DEADLINE = T0 + 600_000
const entry = runEntrySchema.parse({
  kind: 'run',
  uid: 'u1',
  generation: 1,
  pool: 'default',
  namespace: 'ops',
  name: 'r',
  command: {
    placement: { mode: 'All', agents: [], maxParallel: 1 },
    host: {},
    shell: ['sh'],
    script: 'true',
    outputLimit: 0,
  },
  targets: ['w1', 'w2', 'w3'],
  createdAt: T0,
  deadline: DEADLINE,
})
const cell = (target: string, over: Partial<Cell>): CellSeen => ({
  key: `state/${target}`,
  mod: 7,
  ref: { pool: 'default', kind: 'run', namespace: 'ops', name: 'r', target },
  value: { uid: 'u1', lastFire: T0, active: [], ...over },
})
const running = (target: string) => ({ run: `ops.r.run-u1.${target}`, agent: target, attempt: 1 })
/** w1 runs, w2 waits for its slot, w3 is unclaimed; the wave holds w1. */
const cells = [
  cell('w1', { taken: true, active: [running('w1')] }),
  cell('w2', { waiting: { time: T0, by: 'w2', wave: true } }),
  cell('@wave', { active: [running('w1')] }),
]

function plan(over: Partial<RunState>) {
  return planRun({
    now: T0 + 1_000,
    desired: { kind: 'entry', entry, final: false },
    stored: [{ key: 'runs/r', mod: 3, pool: 'default', value: entry }],
    cells,
    hasRequest: () => false,
    lives: () => true,
    ...over,
  })
}
const done = (over: Partial<RunState>) =>
  plan(over).steps.map(step => [
    step.do,
    'open' in step
      ? step.open.target
      : 'target' in step
        ? step.target
        : 'cell' in step
          ? step.cell.ref.target
          : '',
    ...('mod' in step ? [step.mod] : []),
    ...('reason' in step ? [step.reason] : []),
  ])

test('a target that waits for its slot is requested while it waits, like an unclaimed one', () => {
  expect(done({})).toEqual([
    ['request', 'w2', 7],
    ['request', 'w3', 0],
  ])
  expect(plan({ hasRequest: () => true })).toEqual({ steps: [], then: { until: DEADLINE } })
})

test('at the deadline a target is Missed, unless it waits and its agent lives', () => {
  expect(done({ now: DEADLINE })).toEqual([['miss', 'w3', 'DeadlineExceeded']])
  expect(done({ now: DEADLINE, lives: () => false })).toEqual([
    ['miss', 'w2', 'DeadlineExceeded'],
    ['miss', 'w3', 'DeadlineExceeded'],
  ])
})

test('after the deadline a waiting target is still requested', () => {
  const known = [...cells, cell('w3', { taken: true })]
  expect(done({ now: DEADLINE + 60_000, cells: known })).toEqual([['request', 'w2', 7]])
})

test('a deletion: waiting targets are Missed, then active runs are ended, once', () => {
  const gone = { desired: { kind: 'gone', kill: true } } as const
  expect(done(gone)).toEqual([
    ['miss', 'w2', 'Deleted'],
    ['miss', 'w3', 'Deleted'],
  ])
  const known = [
    cell('w1', { taken: true, active: [running('w1')] }),
    cell('w2', { taken: true }),
    cell('w3', { taken: true }),
  ]
  const wave = cell('@wave', { active: [running('w1')] })
  expect(done({ ...gone, cells: [...known, wave] })).toEqual([['kill', 'w1', 'Deleted']])
})

test('the runs in the wave’s cell do not keep a ShellRun from its end', () => {
  const ended = ['w1', 'w2', 'w3'].map(target => cell(target, { taken: true }))
  expect(plan({ cells: [...ended, cell('@wave', { active: [running('w1')] })] })).toEqual({
    steps: [],
    then: 'done',
  })
})
