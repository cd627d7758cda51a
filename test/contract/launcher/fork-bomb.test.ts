import { describe, expect, test } from 'vitest'
import { bench, eventually, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'
import { processesWith } from './processes-with.ts'

const isRoot = process.getuid?.() === 0
/** Of all runs together. The default would fill the machine. */
const LIMIT = 150
const BOMB = 'trap "" TERM; b() { b | b & wait; }; sleep 1000 & long=$!; b & wait $long'
/** Starts processes until it is refused one, and keeps them all: its size does not depend on the moment. */
const FILLER = 'trap "" TERM; sleep 1000 & long=$!; (while :; do sleep 1000 & done); wait $long'

describe('launcher: a fork bomb without a limit of its own', () => {
  const agent = launcherForAll(() => bench([...launcherCommand, '--pids-limit', String(LIMIT)]))
  const bomb = (id: string, deadlineMs: number, text = BOMB) => {
    const marked = agent.marked()
    const user = isRoot ? { user: 'nobody' } : {}
    agent.run(script(id, text, { deadlineMs, graceMs: 300, ...user, ...marked }))
    return () => processesWith(marked.mark).length
  }

  test('fills at most half of the slice of all runs: runs beside it start and succeed', async context => {
    if (!agent.launcher.features.has('resources')) context.skip('the launcher cannot limit processes')
    const size = bomb('one', 120_000, FILLER)
    await eventually('it has grown', () => size() > LIMIT / 3)
    for (const id of ['beside-1', 'beside-2', 'beside-3']) {
      const asked = Date.now()
      agent.run(script(id, 'sleep 1; echo works'))
      const record = await agent.ended(id)
      expect(record).toMatchObject({ cause: { kind: 'exited', code: 0 }, tail: 'works\n' })
      expect((record.startedAt ?? 0) - asked).toBeLessThan(10_000)
      expect(size()).toBeLessThanOrEqual(LIMIT / 2)
    }
    agent.launcher.kill(['one'], 'Test')
    expect(await agent.ended('one')).toMatchObject({ cause: { kind: 'killed' }, pidsRefused: true })
    await eventually('no process of the bomb is left', () => size() === 0)
  })

  test('as three at once fills only the slice, a failed start is reported, and the deadline ends it', async context => {
    if (!agent.launcher.features.has('resources')) context.skip('the launcher cannot limit processes')
    // They have the same mark.
    const [size = () => 0] = ['a', 'b', 'c'].map(id => bomb(id, 10_000))
    let n = 0
    const refused = await eventually('a start is refused', async () => {
      const id = `probe-${n++}`
      agent.run(script(id, 'true'))
      const { cause } = await agent.ended(id)
      return cause.kind === 'startFailed' ? cause : undefined
    })
    expect(refused).toMatchObject({ reason: 'NoResources' })
    expect(size()).toBeLessThanOrEqual(LIMIT)
    for (const id of ['a', 'b', 'c']) {
      const { cause } = await agent.ended(id)
      // The last one may have found no room to start.
      expect(['timedOut', 'startFailed']).toContain(cause.kind)
    }
    await eventually('no process of the bombs is left', () => size() === 0)
    agent.run(script('after', 'echo works'))
    expect(await agent.ended('after')).toMatchObject({ code: 0, tail: 'works\n' })
  })
})
