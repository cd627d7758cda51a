import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { growthOf } from '../../fixtures/processes.ts'
import { bench, eventually, launcherCommand } from '../launcher/launcher.ts'
import { launcherForAll } from '../launcher/launcher-for-each.ts'
import { gigabyte } from './output.ts'
import type { CommandRow } from './row.ts'
import { commands, entryOf, expectSeen, runRow, SESSION } from './suite.ts'

/** Runs the table of commands on the host, with pipes and with a terminal, launched as by an agent. */

/** The most that the launcher's memory may grow while it reads a gigabyte of output. */
const MEGABYTES = 20

test('the table has at least 60 commands with unique names', () => {
  expect(new Set(commands.map(({ name }) => name)).size).toBe(commands.length)
  expect(commands.length).toBeGreaterThanOrEqual(60)
})

describe.each([
  ['pipes', false],
  ['terminal', true],
])('%s', (_, tty) => {
  const agent = launcherForAll(() => bench(launcherCommand), String(SESSION))
  afterAll(async () => {
    const { instance } = agent.launcher
    await eventually('no process of a run is alive', () => launchedBy(instance).length === 0)
  })

  const isUnsupported = (row: CommandRow): boolean => {
    const { features } = agent.launcher
    if (tty && row.pipesOnly) return true
    if (row.user && process.getuid?.() !== 0) return true
    if (row.needs === 'oom' && !features.has('oom')) return true
    return row.resources !== undefined && !features.has('resources')
  }

  const rows = commands.filter(row => row !== gigabyte).map(row => [row.name, row] as const)
  test.concurrent.each(rows)('%s', async (_name, row) => check(row))

  test(`${gigabyte.name}, and the launcher's memory grows by at most ${MEGABYTES} MB`, async () => {
    const growth = growthOf(agent.launcher.pid)
    await check(gigabyte)
    expect(growth()).toBeLessThanOrEqual(MEGABYTES * 1_000_000)
  })

  const check = async (row: CommandRow) => {
    if (isUnsupported(row)) return
    const { resources, user, limits } = row
    const host = {
      ...(resources ? { resources } : {}),
      ...(user ? { user } : {}),
      ...(limits ? { limits } : {}),
    }
    const entry = entryOf(row, { host, tty })
    expectSeen(row, await runRow(row, entry, { agent }), { tty })
  }
})

/** The pids of the processes whose environment names this launcher instance. */
function launchedBy(instance: string): string[] {
  return readdirSync('/proc').filter(pid => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
      return environment.some(each => each.startsWith('SHELLCRON_LAUNCH=') && each.endsWith(`/${instance}`))
    } catch {
      return false
    }
  })
}
