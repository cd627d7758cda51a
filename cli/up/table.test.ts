import { expect, test } from 'vitest'
import { type Result, resultSchema } from '../../core/records/state.ts'
import { renderOutcome, renderProblem, renderTable, renderTroubles } from './table.ts'

const result = (over: Partial<Result>): Result =>
  resultSchema.parse({
    run: 'ops.disk.1000',
    kind: 'job',
    uid: 'u',
    generation: 1,
    namespace: 'ops',
    name: 'disk',
    target: '-',
    agent: 'web-1',
    attempt: 1,
    time: 1_000,
    startedAt: 1_002,
    endedAt: 1_250,
    outcome: 'Succeeded',
    reason: 'Completed',
    final: true,
    ...over,
  })

const job = (name: string, over: object = {}, spec: object = {}) => ({
  kind: 'ShellCronJob',
  metadata: { name, namespace: 'ops' },
  spec: { schedule: '@daily', ...spec },
  status: { conditions: [], activeCount: 0, active: [], ...over },
})

test('a job is shown with its last result, its next time and the last line of its output', () => {
  const text = renderTable({
    overview: {
      objects: [job('disk', { schedule: '@daily', nextScheduleTime: '1970-01-01T00:01:00Z' })],
      problems: [],
    },
    last: new Map([['ShellCronJob/ops/disk', result({ tail: 'first\n42% used\n' })]]),
    now: 6_250,
    width: 200,
  })
  expect(text.split('\n')).toEqual([
    'JOB       SCHEDULE  ACTIVE  LAST RESULT       NEXT    OUTPUT',
    'ops/disk  @daily    0       Succeeded 5s ago  in 54s  42% used',
  ])
})

test('a suspended job, a refused one and a problem in a file are shown', () => {
  const refused = [
    { type: 'Ready', status: 'False', reason: 'InvalidSchedule', message: 'spec.schedule: no such day' },
  ]
  const text = renderTable({
    overview: {
      objects: [job('bad', { conditions: refused }), job('off', {}, { suspend: true })],
      problems: [{ file: 'a.yaml', line: 3, field: 'spec.schedul', message: 'is not a known field' }],
    },
    last: new Map(),
    now: 0,
    width: 200,
  })
  expect(text).toContain('InvalidSchedule: spec.schedule: no such day')
  expect(text).toContain('suspended')
  expect(text).toContain('! a.yaml:3: spec.schedul: is not a known field')
})

test('a job that no agent can run is shown with the reason', () => {
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'Compiled', message: '' },
    { type: 'HasTargets', status: 'False', reason: 'NoAgentMatches', message: 'pool db has no agents' },
  ]
  const overview = { objects: [job('lost', { conditions })], problems: [] }
  const text = renderTable({ overview, last: new Map(), now: 0, width: 200 })
  expect(text).toContain('NoAgentMatches: pool db has no agents')
})

test('an agent that claims nothing is shown with the reason, one that is not connected is not shown', () => {
  const agent = (name: string, reason: string) => {
    const conditions = [{ type: 'Ready', status: 'False', reason, message: 'its launcher does not answer' }]
    return { ...job(name, { conditions }), kind: 'ShellAgent' }
  }
  const objects = [agent('vm', 'LauncherSilent'), agent('new', 'NotConnected')]
  expect(renderTroubles({ objects, problems: [] })).toEqual([
    'agent vm: LauncherSilent: its launcher does not answer',
  ])
  const text = renderTable({ overview: { objects, problems: [] }, last: new Map(), now: 0, width: 80 })
  expect(text).toMatch(/\n\n! agent vm: LauncherSilent: its launcher does not answer$/)
})

test('output of a command cannot control the terminal', () => {
  const line = renderOutcome(result({ tail: 'ok\u001b[2Jgone\n' }))
  expect(line).not.toContain('\u001b')
  expect(line).toBe('1970-01-01T00:00:01Z ops/disk Succeeded in 0.25 s on web-1: ok\\u001b[2Jgone')
})

/** ESC, BEL, CSI of C1, a newline and a right-to-left override. */
const HOSTILE = 'a\u001b[2J\u0007\u009b2J\n\u202eb'
const SAFE = 'a\\u001b[2J\\u0007\\u009b2J\\n\\u202eb'

test('names, files, fields and messages cannot control the terminal', () => {
  const line = renderOutcome(result({ name: HOSTILE, agent: HOSTILE, outcome: 'Missed', reason: HOSTILE }))
  expect(line).toBe(`1970-01-01T00:00:01Z ops/${SAFE} Missed ${SAFE} in 0.25 s on ${SAFE}`)
  const refused = [{ type: 'Ready', status: 'False', reason: HOSTILE, message: HOSTILE }]
  const text = renderTable({
    overview: {
      objects: [job(HOSTILE, { conditions: refused, schedule: HOSTILE })],
      problems: [{ file: HOSTILE, line: 3, field: HOSTILE, message: HOSTILE }],
    },
    last: new Map(),
    now: 0,
    width: 1_000,
  })
  expect(text.split('\n')).toHaveLength(4)
  expect(text).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u)
  expect(text).toContain(`! ${SAFE}:3: ${SAFE}: ${SAFE}`)
})

test('a range, an attempt that will be retried, and an exit code are printed', () => {
  const missed = result({
    outcome: 'Missed',
    reason: 'NotCaughtUp',
    attempt: 0,
    range: { first: 0, count: 7 },
  })
  const { startedAt: _, agent: __, ...without } = missed
  expect(renderOutcome(without)).toBe(
    '7 times from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z ops/disk Missed NotCaughtUp',
  )
  expect(renderOutcome(result({ outcome: 'Failed', exitCode: 3, final: false }))).toContain(
    'Failed (exit code 3) in 0.25 s on web-1 (attempt 1, will be retried)',
  )
})

test('the message of a result is printed, of one that succeeded too', () => {
  const message = '1 process outlived the script and was ended (leftovers: Kill): sleep (7)'
  expect(renderOutcome(result({ tail: 'started\n', message }))).toBe(
    `1970-01-01T00:00:01Z ops/disk Succeeded in 0.25 s on web-1: started [${message}]`,
  )
})

test('a problem names its file, line and field', () => {
  expect(renderProblem({ file: 'x.yaml', message: 'is not YAML' })).toBe('x.yaml: is not YAML')
})

test('no line is wider than the terminal', () => {
  const text = renderTable({
    overview: { objects: [job('x'.repeat(52))], problems: [] },
    last: new Map([[`ShellCronJob/ops/${'x'.repeat(52)}`, result({ tail: 'y'.repeat(500) })]]),
    now: 0,
    width: 80,
  })
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
})
