import { describe, expect, test } from 'vitest'
import { bench, eventually, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'
import { processesWith } from './processes-with.ts'

const isRoot = process.getuid?.() === 0
/** Of all runs together. The default would fill the machine. */
const LIMIT = 150

describe('launcher: a fork bomb without a limit of its own', () => {
  const agent = launcherForAll(() => bench([...launcherCommand, '--pids-limit', String(LIMIT)]))

  test('fills only the slice of all runs, a failed start is reported, and the deadline ends it', async context => {
    if (!agent.launcher.features.has('resources')) context.skip('the launcher cannot limit processes')
    const { mark } = agent.marked()
    const bomb = 'trap "" TERM; b() { b | b & wait; }; sleep 1000 & long=$!; b & wait $long'
    const user = isRoot ? { user: 'nobody' } : {}
    agent.run(script('bomb', bomb, { deadlineMs: 10_000, graceMs: 300, ...user, ...agent.marked() }))
    let n = 0
    const refused = await eventually('a start is refused', async () => {
      const id = `probe-${n++}`
      agent.run(script(id, 'true'))
      const { cause } = await agent.ended(id)
      return cause.kind === 'startFailed' ? cause : undefined
    })
    expect(refused).toMatchObject({ reason: 'NoResources' })
    expect(processesWith(mark).length).toBeLessThanOrEqual(LIMIT)
    expect((await agent.ended('bomb')).cause).toEqual({ kind: 'timedOut' })
    await eventually('no process of the bomb is left', () => processesWith(mark).length === 0)
    agent.run(script('after', 'echo works'))
    expect(await agent.ended('after')).toMatchObject({ code: 0, tail: 'works\n' })
  })
})
