import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endOf } from '../../agent/container.ts'
import { launchOf } from '../../agent/launch.ts'
import type { Arm, ExitRecord } from '../../agent/launcher/messages.ts'
import { nodeLauncher } from '../../agent/launcher/program.ts'
import { verdictOf } from '../../core/outcome.ts'
import type { CommandRow, Seen } from './commands/row.ts'
import { activeOf, commands, entryOf, expectSeen, gigabyte } from './commands.ts'
import {
  type Bench,
  bench,
  bytesOf,
  type Connected,
  eventually,
  farAway,
  implementations,
} from './launcher.ts'

/** The table of commands on the host, by pipes and on a terminal, as an agent launches them. */

/** `megabytes`: by how much the launcher may grow while it takes a gigabyte; the portable one leaves it to its collector, but keeps none of it. */
const environments: [string, { by: readonly string[]; tty: boolean; megabytes: number }][] = [
  ['native launcher, pipes', { by: implementations.native ?? [], tty: false, megabytes: 20 }],
  ['native launcher, terminal', { by: implementations.native ?? [], tty: true, megabytes: 20 }],
  ['portable launcher, pipes', { by: nodeLauncher(), tty: false, megabytes: 400 }],
]
const SESSION = 17
const poolKey = generateKeyPairSync('x25519').privateKey

test('there are at least 60 commands, each with its own name', () => {
  expect(new Set(commands.map(({ name }) => name)).size).toBe(commands.length)
  expect(commands.length).toBeGreaterThanOrEqual(60)
})

describe.each(environments)('%s', (_, { by, tty, megabytes }) => {
  let held: Bench
  let agent: Connected

  beforeAll(async () => {
    held = bench(by)
    agent = await held.connect()
    agent.launcher.fence(String(SESSION), farAway())
  })

  afterAll(async () => {
    const { instance } = agent.launcher
    await eventually('no process of a run lives', () => withLaunchOf(instance).length === 0)
    await held.end()
  })

  const armOf = (row: CommandRow): Arm => {
    const { resources } = row
    const entry = entryOf(row, { host: resources ? { resources } : {}, tty })
    const arm = launchOf(entry, activeOf(row, SESSION), {
      agent: 'a',
      poolKey,
      launcher: agent.launcher,
      containers: { helper: undefined, endpoints: [] },
    })
    if ('reason' in arm) throw new Error(arm.message)
    return arm
  }

  const cannot = (row: CommandRow): boolean => {
    const { features, implementation } = agent.launcher
    if (tty && row.pipesOnly) return true
    if (row.needs === 'group' && implementation !== 'native') return true
    if (row.needs === 'oom' && !features.has('oom')) return true
    return row.resources !== undefined && !features.has('resources')
  }

  const rows = commands.filter(row => row !== gigabyte).map(row => [row.name, row] as const)
  test.concurrent.each(rows)('%s', async (_name, row) => check(row))

  test(`${gigabyte.name}, and costs the launcher little memory`, async () => {
    const { pid } = agent.launcher
    const before = memoryOf(pid, 'VmRSS')
    // From here on the peak is counted anew.
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    await check(gigabyte)
    expect(memoryOf(pid, 'VmHWM') - before).toBeLessThanOrEqual(megabytes * 1_000_000)
  })

  const check = async (row: CommandRow) => {
    if (cannot(row)) return
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
    expectSeen(row, await seenOf(row, record), { tty })
  }

  const seenOf = async (row: CommandRow, record: ExitRecord): Promise<Seen> => {
    const chunks = await agent.output(record.id)
    const { command } = entryOf(row, { host: {} })
    return {
      verdict: verdictOf(endOf(record), command),
      record,
      stdout: bytesOf(chunks, 'stdout'),
      stderr: bytesOf(chunks, 'stderr'),
    }
  }
})

function memoryOf(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}

/** Processes that know they are of this launcher's. */
function withLaunchOf(instance: string): string[] {
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
