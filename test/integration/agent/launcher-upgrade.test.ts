import { expect, test } from 'vitest'
import { launcherProgram } from '../../../agent/launcher/binaries.ts'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** A newer agent finds the launcher that an older agent has started. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

test('the agent uses the older launcher until its runs have ended, then replaces it', async () => {
  // No source uses this tag. It only changes the bytes of the program.
  const older = await pool.agent('a', { launcherCommand: [await launcherBinary({ tags: ['older'] })] })
  await pool.putJob({ name: 'long', ...due(), command: command('sleep 3') })
  await eventually('it runs', async () => (await pool.actives())[0])
  const seen = Date.now()
  await eventually('it has started', () => Date.now() > seen + 500)
  await older.crash()

  const launchers: Launcher[] = []
  const recordLauncher = (launcher: Launcher) => {
    launchers.push(launcher)
    return launcher
  }
  await pool.agent('a', { launcher: recordLauncher })
  expect(await eventually('it has ended', () => pool.ended('long'))).toMatchObject({ outcome: 'Succeeded' })
  await eventually('the launcher is another one', () => launchers.length === 2)
  expect(launchers.map(({ build }) => build)).toEqual([undefined, (await launcherProgram()).build])

  await pool.putJob({ name: 'next', ...due(), command: command('true') })
  expect(await eventually('it runs at the new launcher', () => pool.ended('next'))).toMatchObject({
    outcome: 'Succeeded',
  })
  expect(launchers.length).toBe(2)
})
