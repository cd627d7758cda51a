import { constants } from 'node:os'
import { afterAll, describe, test } from 'vitest'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { helper, type Runtime, runtimes } from '../containers/suite.ts'
import { bench } from '../launcher/launcher.ts'
import { launcherForAll } from '../launcher/launcher-for-each.ts'
import type { CommandRow } from './row.ts'
import { commands, entryOf, expectSeen, runRow, SESSION } from './suite.ts'

/** Runs the table of commands in containers, launched as by an agent. */

const launcher = await launcherBinary()

describe.each(runtimes)('%s', (_, start) => {
  let runtime: Runtime
  afterAll(() => runtime?.machine.stop())
  const agent = launcherForAll(async () => {
    runtime = await start()
    await runtime.container({ app: 'web' })
    return bench([...runtime.machine.enter, launcher], '', {})
  }, String(SESSION))

  const rows = commands
    // A container has its own limits.
    .filter(row => !row.hostOnly && !row.resources)
    .map(row => [row.name, inside(row)] as const)

  test.concurrent.each(rows)('%s', async (_name, row) => {
    const containers = { helper, endpoints: [`unix://${runtime.socket}`], podsOnly: false }
    const selector = { matchLabels: { app: 'web' }, matchExpressions: [] }
    const entry = entryOf(row, { container: { selector, pick: 'One' } })
    expectSeen(row, await runRow(row, entry, { agent, containers }), { tty: false })
  })
})

/**
 * The row with what a container runtime reports: exit code 128 + n for a signal, and NoSuchShell for each failure of the shell. The deadline
 * is longer, because entering the container takes some of it.
 */
function inside(row: CommandRow): CommandRow {
  const { signal, startFailure, ...rest } = row.expect
  const expected = { ...rest }
  if (signal) {
    expected.reason = 'NonZeroExitCode'
    expected.exitCode = 128 + constants.signals[signal as NodeJS.Signals]
  }
  if (startFailure) expected.reason = startFailure === 'NoSuchDirectory' ? startFailure : 'NoSuchShell'
  const { deadlineSeconds } = row
  return {
    ...row,
    expect: expected,
    ...(deadlineSeconds === undefined ? {} : { deadlineSeconds: deadlineSeconds + 5 }),
  }
}
