import { generateKeyPairSync } from 'node:crypto'
import { constants } from 'node:os'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { endOf } from '../../agent/container.ts'
import { launchOf } from '../../agent/launch.ts'
import type { Arm } from '../../agent/launcher/messages.ts'
import { verdictOf } from '../../core/outcome.ts'
import { nativeLauncher } from '../../scripts/native.ts'
import type { CommandRow } from './commands/row.ts'
import { activeOf, commands, entryOf, expectSeen } from './commands.ts'
import { helper, type Runtime, runtimes } from './containers.ts'
import { type Bench, bench, bytesOf, type Connected, eventually, farAway } from './launcher.ts'

/** The table of commands in containers, as an agent launches them. */

const SESSION = 17
const poolKey = generateKeyPairSync('x25519').privateKey
const launcher = await nativeLauncher()

describe.each(runtimes)('%s', (_, start) => {
  let runtime: Runtime
  let held: Bench
  let agent: Connected

  beforeAll(async () => {
    runtime = await start()
    await runtime.container({ app: 'web' })
    held = bench([...runtime.machine.enter, launcher], '', {})
    agent = await held.connect()
    agent.launcher.fence(String(SESSION), farAway())
  })

  afterAll(async () => {
    await held?.end()
    await runtime?.machine.stop()
  })

  const entryFor = (row: CommandRow) =>
    entryOf(row, {
      container: { selector: { matchLabels: { app: 'web' }, matchExpressions: [] }, pick: 'One' },
    })
  const armOf = (row: CommandRow): Arm => {
    const arm = launchOf(entryFor(row), activeOf(row, SESSION), {
      agent: 'a',
      poolKey,
      launcher: agent.launcher,
      containers: { helper, endpoints: [`unix://${runtime.socket}`] },
    })
    if ('reason' in arm) throw new Error(arm.message)
    return arm
  }

  const rows = commands
    // Limits are the container's own.
    .filter(row => !row.hostOnly && !row.resources)
    .map(row => [row.name, inside(row)] as const)

  test.concurrent.each(rows)('%s', async (_name, row) => {
    const arm = armOf(row)
    agent.launcher.arm([arm])
    if (row.kill) {
      await eventually('it is ready', async () => {
        const { bytes } = await agent.launcher.read(arm.id, { offset: 0, length: 1_000, waitMs: 1_000 })
        return bytesOf(bytes, 'stdout').includes('ready')
      })
      agent.launcher.kill([arm.id], 'Requested')
    }
    const record = await agent.ended(arm.id)
    const chunks = await agent.output(arm.id)
    const verdict = verdictOf(endOf(record), entryFor(row).command)
    const seen = { verdict, record, stdout: bytesOf(chunks, 'stdout'), stderr: bytesOf(chunks, 'stderr') }
    expectSeen(row, seen, { tty: false })
  })
})

/** A runtime tells a signal as an exit code, and what is no shell is one word. The way into the container takes a part of a deadline. */
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
