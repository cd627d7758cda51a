import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Arm, type ExitRecord, fromLauncher, type LauncherRun, type ToLauncher } from './messages.ts'

/** The launcher's tests check Go's types against the same example messages, so both sides agree on every field. */
const examples = JSON.parse(
  readFileSync(new URL('../../launcher/testdata/messages.json', import.meta.url), 'utf8'),
) as { toLauncher: { type: string }[]; fromLauncher: Message[] }

type Message = { type: string; record?: ExitRecord; runs?: LauncherRun[] }

const BACKUP = 'default/backup/29000000/1'
const REPORT = 'default/report/29000000/1'

const withEveryField = {
  id: BACKUP,
  session: 'session-1',
  at: 1_700_000_000_000,
  argv: ['/bin/sh', '-c', 'echo "ü"'],
  env: { RUN: '7f3a', EMPTY: '' },
  workingDir: '/tmp',
  user: 'root',
  group: '0',
  userEnv: true,
  allowPrivilegeEscalation: true,
  deadlineMs: 3_600_000,
  graceMs: 30_000,
  outputLimit: 1_048_576,
  script: '#!/bin/bash -e\ntrue\n',
  stdin: 'aGVsbG8K',
  tty: { columns: 120, rows: 40 },
  resources: { cpuMillis: 500, memoryBytes: 67_108_864, pids: 100 },
  fenced: true,
  mark: 'RUN=7f3a',
  notes: true,
  leftovers: 'Leave',
  labels: { job: 'backup' },
} satisfies Required<Arm>

const withFewFields = {
  id: REPORT,
  session: 'session-1',
  at: 1_700_000_000_000.5,
  argv: ['true'],
  env: {},
  workingDir: '/',
  graceMs: 0,
  outputLimit: 0,
  fenced: false,
} satisfies Arm

/** One entry for each type, so that a new type must have an example. */
const orders = {
  hello: [{ type: 'hello', version: 1, implementation: 'shellcron', pid: 4711 }],
  fence: [{ type: 'fence', session: 'session-1', until: 123_456_789.5 }],
  arm: [{ type: 'arm', runs: [withEveryField, withFewFields] }],
  cancel: [{ type: 'cancel', ids: [REPORT] }],
  kill: [{ type: 'kill', ids: [BACKUP], reason: 'Replaced' }],
  runs: [{ type: 'runs', seq: 1 }],
  read: [
    { type: 'read', seq: 2, id: BACKUP, offset: 16, length: 65_536, stream: 'stdout', waitMs: 20_000 },
    { type: 'read', seq: 3, id: BACKUP, offset: 0, length: 0, stream: 'stderr' },
  ],
  forget: [{ type: 'forget', ids: [BACKUP, REPORT] }],
  stop: [{ type: 'stop', whenIdle: true }],
} satisfies { [T in ToLauncher['type']]: Extract<ToLauncher, { type: T }>[] }

describe('to the launcher', () => {
  test('each example equals a message of the agent', () => {
    const byType = Object.groupBy(examples.toLauncher, ({ type }) => type)
    expect(byType).toEqual(orders)
  })
})

describe('from the launcher', () => {
  test.each(examples.fromLauncher.map((message, n) => [`${n} (${message.type})`, message]))(
    'example %s is parsed without the loss or change of a field',
    (_, message) => expect(fromLauncher.parse(message)).toStrictEqual(message),
  )

  const fieldsIn = (objects: readonly object[]) => [...new Set(objects.flatMap(Object.keys))].sort()

  test.each(fromLauncher.options.map(option => [option.shape.type.value, option] as const))(
    'examples of %s have each of its fields',
    (type, option) => {
      const found = examples.fromLauncher.filter(message => message.type === type)
      expect(fieldsIn(found)).toEqual(Object.keys(option.shape).sort())
    },
  )

  test('the examples have each field of a record and of a run', () => {
    const records = examples.fromLauncher.flatMap(({ record }) => record ?? [])
    const runs = examples.fromLauncher.flatMap(({ runs }) => runs ?? [])
    expect(fieldsIn(records)).toEqual(Object.keys(RECORD).sort())
    expect(fieldsIn(runs)).toEqual(Object.keys(RUN).sort())
  })

  test('there is an example of each cause of an end', () => {
    const records = examples.fromLauncher.flatMap(({ record }) => record ?? [])
    expect([...new Set(records.map(({ cause }) => cause.kind))].sort()).toEqual(Object.keys(CAUSES).sort())
  })
})

const RECORD: Record<keyof ExitRecord, true> = {
  id: true,
  session: true,
  cause: true,
  code: true,
  signal: true,
  startedAt: true,
  endedAt: true,
  rusage: true,
  oom: true,
  pidsRefused: true,
  leftovers: true,
  stdout: true,
  stderr: true,
  spoolError: true,
  tail: true,
  told: true,
  labels: true,
}

const RUN: Record<keyof LauncherRun, true> = {
  id: true,
  session: true,
  state: true,
  at: true,
  fenced: true,
  startedAt: true,
  pid: true,
  record: true,
  labels: true,
}

const CAUSES: Record<ExitRecord['cause']['kind'], true> = {
  exited: true,
  signaled: true,
  timedOut: true,
  killed: true,
  fenced: true,
  cancelled: true,
  startFailed: true,
  lost: true,
}
