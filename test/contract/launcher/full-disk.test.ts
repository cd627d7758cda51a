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

/** The disk of the state directory is full, in some tests already when the launcher starts. */

describe.skipIf(!mayMount)('launcher: a full disk', () => {
  let place: Bench
  let agent: Connected
  beforeEach(() => {
    place = bench(launcherCommand, 'disk')
    mkdirSync(place.stateDir)
    mountSmall(place.stateDir)
  })
  afterEach(async () => {
    await agent.launcher.stop(false)
    unmount(place.stateDir)
    await place.end()
  })

  /** Reads the journal and checks that every line is complete JSON. */
  const readJournal = () => {
    const journal = readFileSync(join(place.stateDir, 'launcher.journal'), 'utf8')
    expect(journal.at(-1) ?? '\n').toBe('\n')
    for (const line of journal.split('\n').slice(0, -1)) JSON.parse(line)
    return journal
  }
  const connect = async () => {
    agent = await place.connect()
    agent.launcher.fence(SESSION, farAway())
  }
  const crash = async () => {
    const { pid } = agent.launcher
    process.kill(pid, 'SIGKILL')
    await eventually('the launcher is dead', () => !isAlive(pid))
  }
  const kinds = async () =>
    Object.fromEntries((await agent.launcher.runs()).map(({ id, record }) => [id, record?.cause.kind]))

  test('a launcher starts, records leftover runs as lost, and frees space', async () => {
    await connect()
    agent.launcher.arm([
      script('done', 'head -c 50000 /dev/zero'),
      script('left', 'echo said; sleep 1000', { notes: true }),
    ])
    await agent.ended('done')
    const { pid } = await agent.started('left')
    await eventually('it has written output', async () => {
      return (await agent.launcher.read('left', { offset: 0, length: 100, waitMs: 1_000 })).bytes.length > 0
    })
    const filler = fill(place.stateDir, 'launcher.log')
    await crash()
    await connect()
    expect(isAlive(pid)).toBe(false)
    expect(await agent.ended('left')).toMatchObject({ cause: { kind: 'lost' }, tail: 'said\n' })
    expect(bytesOf(await agent.output('done'), 'stdout')).toEqual(Buffer.alloc(50_000))
    expect(bytesOf(await agent.output('left'), 'stdout').toString()).toBe('said\n')
    expect(existsSync(join(place.stateDir, 'launcher.journal.new'))).toBe(false)

    // The next launcher must find the same records.
    await crash()
    await connect()
    expect(await kinds()).toEqual({ done: 'exited', left: 'lost' })
    agent.launcher.forget(['done', 'left'])
    expect(await kinds()).toEqual({})
    // The forgotten runs have freed space.
    agent.launcher.arm([script('after', 'head -c 20000 /dev/zero')])
    expect(await agent.ended('after')).toMatchObject({ code: 0, stdout: { bytes: 20_000, cut: 0 } })
    filler.free()
    await crash()
    await connect()
    expect(await kinds()).toEqual({ after: 'exited' })
    readJournal()
  })

  test('changes that could not be written are written to the journal once there is space', async () => {
    await connect()
    agent.launcher.arm([script('first', 'true')])
    await agent.ended('first')
    const filler = fill(place.stateDir, 'launcher.log')
    // The line does not fit into the last block, so only a part of it is written.
    const labels = { long: 'x'.repeat(3_000) }
    const ids = ['one', 'two', 'three']
    agent.launcher.arm(ids.map(id => script(id, 'sleep 1000', { labels })))
    const pids = await Promise.all(ids.map(async id => (await agent.started(id)).pid))
    agent.launcher.arm([script('short', 'true')])
    await agent.ended('short')
    const known = readJournal()
    expect(ids.every(id => known.includes(`"id":"${id}"`))).toBe(false)
    filler.free()
    // No other line triggers the write: the next one may be hours away.
    await eventually('the journal has the runs', () =>
      ids.every(id => readJournal().includes(`"id":"${id}"`)),
    )
    agent.launcher.forget(['first', 'short'])
    expect(Object.keys(await kinds())).toEqual(ids)
    await crash()
    await connect()
    expect(pids.filter(isAlive)).toEqual([])
    expect(await kinds()).toEqual({ one: 'lost', two: 'lost', three: 'lost' })
  })
})
