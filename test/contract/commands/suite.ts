import { createHash, generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import type { ExitRecord } from '../../../agent/launcher/messages.ts'
import { type ContainerSettings, endOf } from '../../../agent/runs/container-command.ts'
import { launchOrder } from '../../../agent/runs/launch-order.ts'
import { type JobEntry, jobEntrySchema } from '../../../core/records/entry.ts'
import type { Active } from '../../../core/records/state.ts'
import { verdictOf } from '../../../core/runs/outcome.ts'
import { bytesOf, eventually } from '../launcher/launcher.ts'
import type { HeldLauncher } from '../launcher/launcher-for-each.ts'
import { endings } from './endings.ts'
import { output } from './output.ts'
import { processes } from './processes.ts'
import type { CommandRow, Seen } from './row.ts'
import { surroundings } from './surroundings.ts'
import { text } from './text.ts'

/**
 * Commands as users write them, with their expected results: one table for every environment. The scripts run in dash and in busybox. Each
 * row takes the way of a job: row → entry → launch → exit record → verdict.
 */
export const commands: readonly CommandRow[] = [...text, ...endings, ...output, ...processes, ...surroundings]

/** The entry of a row's job. `over` overrides fields of the command for the environment. */
export function entryOf(row: CommandRow, over: Partial<JobEntry['command']>): JobEntry {
  return jobEntrySchema.parse({
    kind: 'job',
    uid: 'uid-1',
    generation: 1,
    pool: 'default',
    namespace: 'table',
    name: nameOf(row),
    schedules: ['@every 1h'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: 0,
    parameters: row.parameters ?? {},
    command: {
      placement: {},
      shell: row.shell ?? ['/bin/sh', '-c'],
      ...(row.interpreter ? { interpreter: row.interpreter } : {}),
      script: row.script,
      env: Object.entries(row.env ?? {}).map(([name, value]) => ({ name, value })),
      ...(row.workingDir === undefined ? {} : { workingDir: row.workingDir }),
      ...(row.successExitCodes ? { successExitCodes: row.successExitCodes } : {}),
      ...(row.deadlineSeconds === undefined ? {} : { activeDeadlineSeconds: row.deadlineSeconds }),
      terminationGracePeriodSeconds: row.graceSeconds ?? 30,
      outputLimit: row.outputLimit ?? 10_485_760,
      ...over,
    },
  })
}

/** The session of the agent that launches the rows. */
export const SESSION = 17
const poolKey = generateKeyPairSync('x25519').privateKey

/** Runs a row's job as an agent does, and kills it if the row has `kill`. */
export async function runRow(
  row: CommandRow,
  entry: JobEntry,
  by: { agent: HeldLauncher; containers?: ContainerSettings },
): Promise<Seen> {
  const { agent, containers = { helper: undefined, endpoints: [], podsOnly: false } } = by
  const { launcher } = agent
  const policy = { env: row.machineEnv ?? {} }
  const arm = launchOrder(entry, activeOf(row), {
    agent: 'a',
    poolKeys: () => [poolKey],
    launcher,
    containers,
    policy,
  })
  if ('reason' in arm) throw new Error(arm.message)
  agent.run(arm)
  if (row.kill) {
    await eventually('it is ready', async () => {
      const { bytes } = await agent.launcher.read(arm.id, { offset: 0, length: 1_000, waitMs: 1_000 })
      return bytesOf(bytes, 'stdout').includes('ready')
    })
    agent.launcher.kill([arm.id], 'Requested')
  }
  const record = await agent.ended(arm.id)
  const chunks = await agent.output(arm.id)
  const verdict = verdictOf(endOf(record), entry.command)
  return { verdict, record, stdout: bytesOf(chunks, 'stdout'), stderr: bytesOf(chunks, 'stderr') }
}

/** The claimed attempt of that job, due now. */
function activeOf(row: CommandRow): Active {
  const name = nameOf(row)
  const time = Date.UTC(2030, 0, 2, 3, 4, 5)
  return {
    run: `table.${name}.${time}`,
    kind: 'job',
    uid: 'uid-1',
    generation: 1,
    namespace: 'table',
    name,
    target: '-',
    time,
    attempt: 1,
    notBefore: 0,
    session: SESSION,
    instance: 'any',
  }
}

function nameOf({ name }: CommandRow): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 12)
}

/** Compares the result with the row. `tty`: a terminal has one stream, and ends lines with CR LF. */
export function expectSeen(row: CommandRow, seen: Seen, { tty }: { tty: boolean }): void {
  const { verdict, record } = seen
  const { expect: wanted } = row
  expect(verdict).toMatchObject({
    outcome: wanted.outcome,
    reason: wanted.reason ?? wanted.startFailure ?? REASONS[wanted.outcome],
    ...(wanted.exitCode === undefined ? {} : { exitCode: wanted.exitCode }),
    ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
  })
  const streams = tty
    ? ([['stdout', wanted.onTty ?? onlyStream(wanted)]] as const)
    : ([
        ['stdout', wanted.stdout],
        ['stderr', wanted.stderr],
      ] as const)
  for (const [name, text] of streams) {
    const written = plain(seen[name].toString(), tty)
    if (typeof text === 'string') expect(written, name).toBe(text)
    else if (text) expect(written, name).toMatch(text)
  }
  expectBytes(wanted, seen, tty)
  if (wanted.tail !== undefined) expect(plain(record.tail, tty)).toBe(wanted.tail)
  for (const name of ['stdout', 'stderr'] as const) expect(record[name].bytes).toBe(seen[name].length)
}

const REASONS = {
  Succeeded: 'Completed',
  Failed: 'NonZeroExitCode',
  TimedOut: 'DeadlineExceeded',
  Killed: 'Requested',
  Lost: 'Fenced',
  Cancelled: 'Cancelled',
  Missed: 'DeadlineExceeded',
}

function expectBytes(wanted: CommandRow['expect'], { record, stdout }: Seen, tty: boolean): void {
  if (wanted.counts) {
    const sum = (key: keyof ExitRecord['stdout']) => record.stdout[key] + record.stderr[key]
    expect({ bytes: sum('bytes'), cut: sum('cut') }).toEqual(wanted.counts)
  }
  if (wanted.sha256 && !tty) expect(createHash('sha256').update(stdout).digest('hex')).toBe(wanted.sha256)
}

/** The expected output on a terminal, which joins both streams. Undefined if both are expected: then only `onTty` can tell their order. */
function onlyStream({ stdout, stderr }: CommandRow['expect']): string | RegExp | undefined {
  if (stderr === undefined || stderr === '') return stdout
  return stdout === undefined || stdout === '' ? stderr : undefined
}

const plain = (text: string, tty: boolean) => (tty ? text.replaceAll('\r\n', '\n') : text)
