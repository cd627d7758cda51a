import { describe, expect, test } from 'vitest'
import { bench, eventually, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

describe('launcher: processes that begin during the grace', () => {
  const agent = launcherForAll(() => bench(launcherCommand))
  const killed = async (id: string, text: string) => {
    agent.run(script(id, text, agent.marked()))
    await eventually('it has begun', async () => {
      const part = await agent.launcher.read(id, { offset: 0, length: 100, waitMs: 100 })
      return part.bytes.length > 0
    })
    const asked = Date.now()
    agent.launcher.kill([id], 'Test')
    const record = await agent.ended(id)
    return { record, ms: record.endedAt - asked }
  }

  // A process that gets SIGTERM before `env` has reset the shell's ignored signal loses it, and is killed when the grace ends: hence again.
  test('get SIGTERM, too, each of them once', { retry: 2 }, async () => {
    // The shell ignores SIGTERM; what it starts does not.
    const next = 'env --default-signal=TERM sleep 1000'
    const { record, ms } = await killed(
      'next',
      `exec 2>&-; trap "" TERM; env --default-signal=TERM sh -c "echo begun; exec sleep 1000"; ${next}; ${next}; echo done`,
    )
    expect(record.tail).toBe('begun\ndone\n')
    expect(ms).toBeLessThan(30_000)
  })

  test('do not get it if a process that handles SIGTERM starts them: they are its cleanup', async () => {
    const cleanup = 'sleep 1; sh -c "sleep 1; echo cleaned"; exit 3'
    const { record, ms } = await killed('trap', `trap '${cleanup}' TERM; echo begun; sleep 1000 & wait`)
    expect(record).toMatchObject({ tail: 'begun\ncleaned\n', code: 3 })
    expect(ms).toBeGreaterThan(1_900)
  })

  test('a process that handles SIGTERM gets it once', async () => {
    const handler = `exec 2>&-; trap 'echo got it' TERM; echo begun; for i in 1 2 3 4 5 6; do sleep 0.3; done; exit 4`
    const { record } = await killed('once', handler)
    expect(record.tail).toBe('begun\ngot it\n')
  })
})
