import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { bench, eventually, farAway, isAlive, launcherCommand, SESSION, script } from './launcher.ts'
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
      run(script(`deadline ${how}`, `${child}\necho done`, { deadlineMs: 4_000, ...agent.marked() }))
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

  test('a daemon that outlives its script gets SIGTERM, and the record names it', async () => {
    const daemon = `setsid ${HANDLER} & echo $!; while [ ! -e gate ]; do sleep 0.05; done`
    run(
      script('daemon', daemon.replace('echo ready', 'touch gate'), {
        workingDir: agent.stateDir,
        ...agent.marked(),
      }),
    )
    const record = await agent.ended('daemon')
    expect(record).toMatchObject({ cause: { kind: 'exited', code: 0 } })
    // The shell, and the sleep that it may just run.
    expect([1, 2]).toContain(record.leftovers?.count)
    expect(record.leftovers?.left).toBeUndefined()
    expect(record.tail).toMatch(/^\d+\n(Terminated\n)?handled\n$/)
    const [pid] = record.tail.split('\n')
    expect(record.leftovers?.processes).toContain(`sh (${pid})`)
    expect(isAlive(Number(pid))).toBe(false)
  })

  test('a leftover that ignores SIGTERM gets SIGKILL after the grace', async () => {
    const stubborn = `setsid ${STUBBORN} & echo $!; while [ ! -e stubborn ]; do sleep 0.05; done; exit 3`
    run(
      script('outlives', stubborn.replace('echo ready', 'touch stubborn'), {
        workingDir: agent.stateDir,
        graceMs: 300,
        ...agent.marked(),
      }),
    )
    const { code, tail, leftovers } = await agent.ended('outlives')
    expect([code, leftovers?.processes]).toEqual([3, expect.arrayContaining([`sh (${tail.trim()})`])])
    await eventually('the leftover is dead', () => !isAlive(Number(tail)))
  })

  test('a process that ends with its script is no leftover', async () => {
    run(script('none', '(sleep 0.01 &); echo done', agent.marked()))
    expect(await agent.ended('none')).not.toHaveProperty('leftovers')
  })

  test('with leftovers Leave, a daemon goes on outside of the run, also after the end of the launcher', async () => {
    // No other run may have its mark: the launcher kills by it.
    const mark = `${agent.stateDir}/leave`
    const order = { leftovers: 'Leave', mark: `RUN=${mark}`, env: { RUN: mark } } as const
    run(script('leave', '(setsid sleep 1000 > /dev/null 2>&1 & echo $!); echo started', order))
    const { tail, leftovers, code } = await agent.ended('leave')
    const pid = Number(/^\d+/m.exec(tail)?.[0])
    try {
      expect({ code, leftovers }).toEqual({
        code: 0,
        leftovers: { count: 1, processes: [`sleep (${pid})`], left: true },
      })
      // The killer looks for orphans when it kills another run.
      run(script('other', 'setsid sleep 1000 & sleep 0.3', { graceMs: 0 }))
      await agent.ended('other')
      await agent.crash()
      await agent.connect()
      agent.launcher.fence(SESSION, farAway())
      expect(isAlive(pid)).toBe(true)
      const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
      expect(groups).not.toMatch(/\/runs\//)
    } finally {
      process.kill(pid, 'SIGKILL')
    }
  })

  test('the fence ends a grace that goes on', async () => {
    run(script('stopped', `${STUBBORN}\necho done`))
    await ready('stopped')
    agent.launcher.kill(['stopped'], 'ByUser')
    agent.launcher.fence(SESSION, 1)
    expect(await agent.ended('stopped')).toMatchObject({ cause: { kind: 'killed', reason: 'ByUser' } })
  })
})
