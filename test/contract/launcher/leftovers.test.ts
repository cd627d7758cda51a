import { describe, expect, test } from 'vitest'
import { bench, eventually, isAlive, launcherCommand, script } from './launcher.ts'
import { launcherForAll } from './launcher-for-each.ts'

/** Processes that live on when the command itself has ended. */

/** A child that takes its time to handle SIGTERM, and says when it is ready. */
const HANDLER = `sh -c 'trap "sleep 1; echo handled; exit 0" TERM; echo ready; while :; do sleep 0.1; done'`
const STUBBORN = `sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'`

describe('launcher: leftovers', () => {
  const agent = launcherForAll(() => bench(launcherCommand))
  const { run } = agent
  const ready = (id: string) =>
    eventually(
      `${id} is ready`,
      async () => (await agent.launcher.read(id, { offset: 0, length: 100, waitMs: 1_000 })).bytes.length > 0,
    )

  for (const [how, child] of [
    ['in its process group', HANDLER],
    ['in a session of its own', `setsid ${HANDLER}`],
  ] as const) {
    test(`at the deadline, a child ${how} has its whole grace although the shell dies at once`, async () => {
      run(script(`deadline ${how}`, `${child}\necho done`, { deadlineMs: 2_000, ...agent.marked() }))
      expect(await agent.ended(`deadline ${how}`)).toMatchObject({
        cause: { kind: 'timedOut' },
        signal: 'SIGTERM',
        tail: expect.stringMatching(/^ready\n(Terminated\n)?handled\n$/),
      })
    })

    test(`at a kill, a child ${how} has its whole grace although the shell dies at once`, async () => {
      run(script(`kill ${how}`, `${child}\necho done`, agent.marked()))
      await ready(`kill ${how}`)
      agent.launcher.kill([`kill ${how}`], 'Replaced')
      expect(await agent.ended(`kill ${how}`)).toMatchObject({
        cause: { kind: 'killed', reason: 'Replaced' },
        tail: expect.stringMatching(/^ready\n(Terminated\n)?handled\n$/),
      })
    })
  }

  test('a child that ignores SIGTERM gets SIGKILL when the grace has passed', async () => {
    run(script('stubborn', `${STUBBORN} & echo $!; wait`, { graceMs: 500 }))
    await ready('stubborn')
    agent.launcher.kill(['stubborn'], 'ByUser')
    const { tail, endedAt, startedAt } = await agent.ended('stubborn')
    expect(endedAt).toBeGreaterThanOrEqual(startedAt ?? Infinity)
    const pid = Number(/\d+/.exec(tail)?.[0])
    await eventually('the child is dead', () => !isAlive(pid))
  })

  test('the fence ends a grace that goes on', async () => {
    run(script('stopped', `${STUBBORN}\necho done`))
    await ready('stopped')
    agent.launcher.kill(['stopped'], 'ByUser')
    agent.launcher.fence('session-1', 1)
    expect(await agent.ended('stopped')).toMatchObject({ cause: { kind: 'killed', reason: 'ByUser' } })
  })
})
