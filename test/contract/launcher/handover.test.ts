import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import { bytesOf, isAlive, launcherCommand, script } from './launcher.ts'
import { launcherForEach } from './launcher-for-each.ts'

/** Two builds that differ in bytes and path. No source uses the tag `older`. */
const older = [await launcherBinary({ tags: ['older'] }), '--build', 'older']
const newer = [...launcherCommand, '--build', 'newer']

/** `find` fails if a folder disappears while it runs. */
const FIND = 'find /sys/fs/cgroup -maxdepth 6 -type d -path "*/$1/*run-*" 2> /dev/null || :'

/** Upgrade and downgrade: the next launcher uses the state directory of the previous one. */
describe.each([
  ['an older build, then a newer one', older, newer],
  ['a newer build, then an older one', newer, older],
])('launcher: %s', (_, from, to) => {
  const agent = launcherForEach(from)

  test('ended runs keep their records and output until they are forgotten', async () => {
    const ids = ['plain', 'Ünïcode/…', 'long'.repeat(100)]
    for (const [n, id] of ids.entries())
      agent.launcher.arm([script(id, `echo ${n}; echo >&2; exit ${n}`, { labels: { n: `${n}` } })])
    const records = await Promise.all(ids.map(id => agent.ended(id)))
    await agent.launcher.stop(true)
    await agent.connect(to)
    expect(agent.launcher.build).toBe(to.at(-1))
    for (const [n, id] of ids.entries()) {
      expect(await agent.ended(id)).toEqual(records[n])
      expect(bytesOf(await agent.output(id), 'stdout').toString()).toBe(`${n}\n`)
    }
    agent.launcher.forget(ids)
    expect(await agent.launcher.runs()).toEqual([])
    await agent.launcher.stop(true)
    await agent.connect()
    expect(await agent.launcher.runs()).toEqual([])
  })

  test('the control groups of a dead launcher are removed', async () => {
    const printGroup = 'grep -o "shellcron-[^/]*" /proc/self/cgroup | head -n 1; exec sleep 1000'
    agent.launcher.arm([script('grouped', printGroup)])
    await agent.started('grouped')
    const first = await agent.launcher.read('grouped', { offset: 0, length: 100, waitMs: 1_000 })
    const own = bytesOf(first.bytes, 'stdout').toString().trim()
    await agent.crash()
    await agent.connect(to)
    const left = own === '' ? '' : execFileSync('sh', ['-c', FIND, 'sh', own], { encoding: 'utf8' })
    expect(left).toBe('')
  })

  test('the runs of a dead launcher are killed and recorded as lost', async () => {
    agent.run(script('left', 'setsid sleep 1000 & echo $!; wait', agent.marked()))
    const { pid } = await agent.started('left')
    const { bytes } = await agent.launcher.read('left', { offset: 0, length: 100, waitMs: 30_000 })
    await agent.crash()
    await agent.connect(to)
    expect((await agent.ended('left')).cause).toEqual({ kind: 'lost', reason: 'LauncherDied' })
    expect([pid, Number(bytesOf(bytes, 'stdout').toString())].filter(isAlive)).toEqual([])
    await agent.launcher.stop(true)
    await agent.connect()
    expect((await agent.ended('left')).cause).toEqual({ kind: 'lost', reason: 'LauncherDied' })
  })
})
