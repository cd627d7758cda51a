import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { eventually } from '../../fault/eventually.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Runs leave nothing behind. */
const pool = poolForEach({ ttlSeconds: 60, members: ['a'] })

const RUNS = 1_000
const JOURNAL_BYTES = 5 << 20

test('a thousand runs leave no process, zombie, control group, descriptor or spool file', async () => {
  let launcher: Launcher | undefined
  const recordLauncher = (real: Launcher) => {
    launcher = real
    return real
  }
  const { stateDir } = await pool.agent('a', { launcher: recordLauncher })
  const { pid } = await eventually('a launcher', () => launcher)
  const started = await countsOf(pid)
  const names = Array.from({ length: RUNS }, (_, n) => `j${n}`)
  for (const name of names) await pool.putJob({ name, ...due(), command: command('true') })
  const ended = () => pool.results().then(all => all.filter(({ attempt }) => attempt > 0))
  await eventually('all have ended', async () => (await ended()).length === RUNS, 120_000)
  expect(new Set((await ended()).map(({ outcome }) => outcome))).toEqual(new Set(['Succeeded']))

  await eventually('the launcher has forgotten all runs', async () => (await launcher?.runs())?.length === 0)
  await eventually('processes and groups are gone', async () => {
    const { children, groups } = await countsOf(pid)
    return children === 0 && groups <= started.groups
  })
  expect((await countsOf(pid)).descriptors).toBeLessThanOrEqual(started.descriptors + 2)
  expect((await countsOf(process.pid)).descriptors).toBeLessThan(200)
  for (const folder of ['spool', 'notes']) expect(filesIn(join(stateDir, folder))).toEqual([])
  expect(statSync(join(stateDir, 'launcher.journal')).size).toBeLessThan(JOURNAL_BYTES)
  expect(await pool.actives()).toEqual([])
})

/** The names in a folder. A folder that was never needed does not exist. */
function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

/** Counts of a process. `groups`: the control groups of the launcher's runs. `children` includes zombies. */
async function countsOf(pid: number): Promise<{ children: number; groups: number; descriptors: number }> {
  const parents = execFileSync('ps', ['-eo', 'ppid='], { encoding: 'utf8' }).split('\n')
  return {
    children: parents.filter(parent => Number(parent) === pid).length,
    groups: groupsOf(pid),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** The number of control groups directly below the launcher's own, whose name is a hash of its state directory. */
function groupsOf(pid: number): number {
  const script = `
    state=$(tr '\\0' '\\n' < /proc/${pid}/cmdline | grep -A1 -x -e --state | tail -n 1)
    name=shellcron-$(printf %s "$state" | sha256sum | cut -c 1-16)
    find /sys/fs/cgroup -maxdepth 6 -type d -path "*/$name/*run-*" 2> /dev/null | wc -l`
  return Number(execFileSync('sh', ['-c', script], { encoding: 'utf8' }))
}
