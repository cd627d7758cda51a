import { execFile, execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bytesOf, eventually, isAlive, launcherCommand, script } from './launcher.ts'
import { launcherForEach } from './launcher-for-each.ts'

describe('launcher: a slow disk', () => {
  const agent = launcherForEach(launcherCommand)
  const { run } = agent
  const spool = (id: string) => join(agent.stateDir, 'spool', id)
  /** Writes this many bytes once its file exists, and ends when they are in the pipe. */
  const writes = (id: string, bytes: number) =>
    script(id, `until [ -e ${agent.stateDir}/${id} ]; do sleep 0.02; done; head -c ${bytes} /dev/zero`)
  const open = (id: string) => writeFileSync(join(agent.stateDir, id), '')

  /** The first blocks the launcher's only writer. The last is more than its pipe can hold. */
  const SIZES = { first: 10, little: 50_000, much: 350_000 }

  test.each([
    ['no process holds open', false],
    ['another process holds open', true],
  ])(
    'bytes in a pipe that %s at the end of the run are kept, even if the disk is very slow',
    async (_, isHeld) => {
      // A FIFO is the slowest possible disk: opening it for writing blocks until there is a reader.
      execFileSync('mkfifo', Object.keys(SIZES).map(spool))
      const pids = new Map<string, number>()
      for (const [id, bytes] of Object.entries(SIZES)) {
        run(writes(id, bytes))
        pids.set(id, (await agent.started(id)).pid)
      }
      const held = isHeld ? [...pids.values()].map(pid => openSync(`/proc/${pid}/fd/1`, 'w')) : []
      for (const [id, pid] of pids) {
        open(id)
        // `much` lives until its pipe is read.
        if (id !== 'much') await eventually(`${id} has ended`, () => !isAlive(pid))
      }
      run(script('meanwhile', 'sleep 3'))
      await agent.ended('meanwhile')
      const read = Object.keys(SIZES).map(id =>
        promisify(execFile)('cat', [spool(id)], { encoding: 'buffer', maxBuffer: 1e6, timeout: 30_000 }),
      )
      for (const [n, [id, bytes]] of Object.entries(SIZES).entries()) {
        expect(bytesOf((await read[n])?.stdout ?? Buffer.alloc(0), 'stdout')).toHaveLength(bytes)
        expect((await agent.ended(id)).stdout).toEqual({ bytes, cut: 0 })
      }
      held.forEach(closeSync)
    },
  )

  test('a run ends although another process writes to its pipe forever', async () => {
    run(writes('endless', 0))
    const { pid } = await agent.started('endless')
    const fd = openSync(`/proc/${pid}/fd/1`, 'w')
    const yes = spawn('yes', { stdio: ['ignore', fd, 'ignore'] })
    closeSync(fd)
    open('endless')
    const { code, stdout } = await agent.ended('endless')
    expect(code).toBe(0)
    expect(stdout.bytes + stdout.cut).toBeGreaterThan(0)
    await eventually('the writer gets SIGPIPE', () => yes.signalCode === 'SIGPIPE')
  })
})
