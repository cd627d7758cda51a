import { expect, test } from 'vitest'
import { launcherProgram } from '../../../agent/launcher/binaries.ts'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** A newer agent finds the launcher that an older one has started. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

test('it works with it, lets its runs end, and replaces it when it is idle', async () => {
  // No source has this tag: it only makes another program.
  const older = await pool.agent('a', { launcherCommand: [await launcherBinary({ tags: ['older'] })] })
  await pool.putJob({ name: 'long', ...due(), command: command('sleep 3') })
  await eventually('it runs', async () => (await pool.actives())[0])
  const seen = Date.now()
  await eventually('it has started', () => Date.now() > seen + 500)
  await older.crash()

  const met: Launcher[] = []
  const meet = (launcher: Launcher) => {
    met.push(launcher)
    return launcher
  }
  await pool.agent('a', { launcher: meet })
  expect(await eventually('it has ended', () => pool.ended('long'))).toMatchObject({ outcome: 'Succeeded' })
  await eventually('the launcher is another one', () => met.length === 2)
  expect(met.map(({ build }) => build)).toEqual([undefined, (await launcherProgram()).build])

  await pool.putJob({ name: 'next', ...due(), command: command('true') })
  expect(await eventually('it runs there', () => pool.ended('next'))).toMatchObject({ outcome: 'Succeeded' })
  expect(met.length).toBe(2)
})
