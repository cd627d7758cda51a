import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { silentLog } from '../../platform/log.ts'
import { Journal } from './journal.ts'
import { Pipes } from './pipes.ts'
import { TreeSignaller } from './signal-tree.ts'
import { Supervisor } from './supervisor.ts'

test('a launcher that breaks ends what its runs have started elsewhere', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shellcron-broken-'))
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('exit', (_, signal) => resolve(signal)))
  try {
    const [group, notesDir] = [join(dir, 'shellcron-group'), join(dir, 'notes')]
    for (const each of [group, notesDir]) mkdirSync(each)
    writeFileSync(join(group, 'cgroup.procs'), `${child.pid}\n`)
    writeFileSync(join(notesDir, 'run'), `cgroup ${group}\n`)
    const clock = systemClock
    const journal = new Journal(join(dir, 'journal'), () => {})
    const pipes = new Pipes(join(dir, 'pipes'))
    const signaller = new TreeSignaller(clock)
    const deps = { clock, log: silentLog, journal, pipes, signaller, spoolDir: dir, notesDir }
    new Supervisor(deps, []).killAllNow()
    expect(await ended).toBe('SIGKILL')
  } finally {
    child.kill('SIGKILL')
    rmSync(dir, { recursive: true })
  }
}, 10_000)
