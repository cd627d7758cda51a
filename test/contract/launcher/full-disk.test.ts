import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fill, mayMount, mountSmall, unmount } from '../../fixtures/small-disk.ts'
import {
  type Bench,
  bench,
  bytesOf,
  type Connected,
  eventually,
  farAway,
  isAlive,
  launcherCommand,
  SESSION,
  script,
} from './launcher.ts'

/** The disk that the state directory lies on is full, also when a launcher starts. */

describe.skipIf(!mayMount)('launcher: a full disk', () => {
  let on: Bench
  let agent: Connected
  beforeEach(() => {
    on = bench(launcherCommand, 'disk')
    mkdirSync(on.stateDir)
    mountSmall(on.stateDir)
  })
  afterEach(async () => {
    await agent.launcher.stop(false)
    unmount(on.stateDir)
    await on.end()
  })

  /** The journal, of which each line can be read. */
  const wholeLines = () => {
    const journal = readFileSync(join(on.stateDir, 'launcher.journal'), 'utf8')
    expect(journal.at(-1) ?? '\n').toBe('\n')
    for (const line of journal.split('\n').slice(0, -1)) JSON.parse(line)
    return journal
  }
  const connect = async () => {
    agent = await on.connect()
    agent.launcher.fence(SESSION, farAway())
  }
  const crash = async () => {
    const { pid } = agent.launcher
    process.kill(pid, 'SIGKILL')
    await eventually('the launcher is dead', () => !isAlive(pid))
  }
  const kinds = async () =>
    Object.fromEntries((await agent.launcher.runs()).map(({ id, record }) => [id, record?.cause.kind]))

  test('keeps no launcher from starting, settling what was left, and making room', async () => {
    await connect()
    agent.launcher.arm([
      script('done', 'head -c 50000 /dev/zero'),
      script('left', 'echo said; sleep 1000', { notes: true }),
    ])
    await agent.ended('done')
    const { pid } = await agent.started('left')
    await eventually('it has spoken', async () => {
      return (await agent.launcher.read('left', { offset: 0, length: 100, waitMs: 1_000 })).bytes.length > 0
    })
    const filler = fill(on.stateDir, 'launcher.log')
    await crash()
    await connect()
    expect(isAlive(pid)).toBe(false)
    expect(await agent.ended('left')).toMatchObject({ cause: { kind: 'lost' }, tail: 'said\n' })
    expect(bytesOf(await agent.output('done'), 'stdout')).toEqual(Buffer.alloc(50_000))
    expect(bytesOf(await agent.output('left'), 'stdout').toString()).toBe('said\n')
    expect(existsSync(join(on.stateDir, 'launcher.journal.new'))).toBe(false)

    // The next one has to find the same.
    await crash()
    await connect()
    expect(await kinds()).toEqual({ done: 'exited', left: 'lost' })
    agent.launcher.forget(['done', 'left'])
    expect(await kinds()).toEqual({})
    // That made room.
    agent.launcher.arm([script('after', 'head -c 20000 /dev/zero')])
    expect(await agent.ended('after')).toMatchObject({ code: 0, stdout: { bytes: 20_000, cut: 0 } })
    filler.free()
    await crash()
    await connect()
    expect(await kinds()).toEqual({ after: 'exited' })
    wholeLines()
  })

  test('what happened meanwhile is in the journal as soon as there is room', async () => {
    await connect()
    agent.launcher.arm([script('first', 'true')])
    await agent.ended('first')
    const filler = fill(on.stateDir, 'launcher.log')
    // Of a line that is longer than what is left in the last block a part is written.
    const labels = { long: 'x'.repeat(3_000) }
    const ids = ['one', 'two', 'three']
    agent.launcher.arm(ids.map(id => script(id, 'sleep 1000', { labels })))
    const pids = await Promise.all(ids.map(async id => (await agent.started(id)).pid))
    agent.launcher.arm([script('short', 'true')])
    await agent.ended('short')
    const known = wholeLines()
    expect(ids.every(id => known.includes(`"id":"${id}"`))).toBe(false)
    filler.free()
    // Without another line, which may be hours away.
    await eventually('the journal has them', () => ids.every(id => wholeLines().includes(`"id":"${id}"`)))
    agent.launcher.forget(['first', 'short'])
    expect(Object.keys(await kinds())).toEqual(ids)
    await crash()
    await connect()
    expect(pids.filter(isAlive)).toEqual([])
    expect(await kinds()).toEqual({ one: 'lost', two: 'lost', three: 'lost' })
  })
})
