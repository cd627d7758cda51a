import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually, farAway, launcherCommand, SESSION, script } from './launcher.ts'
import { launcherForEach } from './launcher-for-each.ts'
import { processesWith } from './processes-with.ts'

/** A launcher can die after it has started a process and before it has written the pid to the journal. */

const TRIES = 5
const BURST = 60

describe('launcher: killed', () => {
  const agent = launcherForEach(launcherCommand)

  /** Kills the launcher while it starts many runs. */
  const crashInBurst = async (round: number) => {
    agent.launcher.fence(SESSION, farAway())
    const runs = Array.from({ length: BURST }, (_, n) => {
      const name = `${round}-${n}`
      // The `setsid` process is no longer in the command's tree when the next launcher looks for it.
      return script(name, 'setsid sleep 1000 & exec sleep 1000', {
        env: { BURST: `${agent.stateDir}/${name}` },
        mark: `BURST=${agent.stateDir}/${name}`,
      })
    })
    agent.launcher.arm(runs)
    await eventually('some have started', () => {
      return agent.events.filter(({ type }) => type === 'started').length > round * 5
    })
    await agent.crash()
  }

  test('after a crash during a burst of starts, the next launcher kills every process', async () => {
    for (let round = 0; round < TRIES; round++) {
      await crashInBurst(round)
      await agent.connect()
      expect(processesWith(`BURST=${agent.stateDir}/`)).toEqual([])
      const runs = await agent.launcher.runs()
      expect(new Set(runs.map(({ state }) => state))).toEqual(new Set(['ended']))
      expect(new Set(runs.map(({ record }) => record?.cause.kind))).toEqual(new Set(['lost']))
    }
  })

  test('a launcher starts although a power cut has damaged a spool', async () => {
    agent.launcher.fence(SESSION, farAway())
    agent.launcher.arm([script('long', 'yes | head -c 5000', { outputLimit: 1_000 })])
    expect((await agent.ended('long')).stdout).toEqual({ bytes: 1_000, cut: 4_000 })
    await agent.crash()
    const path = join(agent.stateDir, 'spool', 'long')
    const spool = await readFile(path)
    await writeFile(path, spool.fill(0xff, spool.lastIndexOf('{')))
    await agent.connect()
    expect(await agent.launcher.runs()).toMatchObject([
      { id: 'long', record: { stdout: { bytes: 1_000, cut: 4_000 } } },
    ])
  })

  test.runIf(process.platform === 'linux')(
    'the next launcher reads only a small part of long spools',
    async () => {
      const bytes = 200_000_000
      const noise = `head -c ${bytes} /dev/zero; echo end`
      agent.launcher.fence(SESSION, farAway())
      agent.launcher.arm([
        script('ended', noise, { outputLimit: 1e9 }),
        script('lost', `{ ${noise}; } >&2; exec sleep 1000`, { outputLimit: 1e9, ...agent.marked() }),
      ])
      const { tail } = await agent.ended('ended')
      const spool = join(agent.stateDir, 'spool', 'lost')
      await eventually(
        'the other run has written all its output',
        async () => (await lastBytes(spool, 4)) === 'end\n',
      )
      await agent.crash()
      await agent.connect()
      const io = await readFile(`/proc/${agent.launcher.pid}/io`, 'utf8')
      expect(Number(/rchar: (\d+)/.exec(io)?.[1])).toBeLessThan(bytes / 4)
      expect((await agent.ended('ended')).tail).toBe(tail)
      const { stdout, stderr, tail: last } = await agent.ended('lost')
      expect([stdout.bytes + stderr.bytes, last.endsWith('end\n')]).toEqual([bytes + 4, true])
    },
  )

  test('a run that was only armed can be armed again, with the same mark, at the next launcher', async () => {
    agent.launcher.fence(SESSION, farAway())
    const order = script('later', 'true', { at: Date.now() + 3_600_000, ...agent.marked() })
    agent.launcher.arm([order])
    await agent.launcher.runs()
    await agent.crash()
    await agent.connect()
    expect(await agent.launcher.runs()).toEqual([])
    agent.launcher.fence(SESSION, farAway())
    agent.launcher.arm([{ ...order, at: 0 }])
    expect((await agent.ended('later')).code).toBe(0)
  })
})

async function lastBytes(path: string, bytes: number): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (!file) return ''
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, Math.max(size - bytes, 0))
    return buffer.subarray(0, bytesRead).toString()
  } finally {
    await file.close()
  }
}
