import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { fill, mayMount, unmount } from '../fixtures/small-disk.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** The disk of `up`'s state directory is full. etcd reserves 64 MiB for each of two files. */
describe.skipIf(!mayMount)('up', () => {
  let up: Up | undefined
  let state: string
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'shellcron-full-'))
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=200m,mode=700', 'tmpfs', state])
  })
  afterEach(async () => {
    await up?.remove()
    up = undefined
    unmount(state)
    rmSync(state, { recursive: true, force: true })
  })

  test('that starts on a full disk says so in one line', async () => {
    fill(state)
    up = await upOn('examples/quickstart', ['--state', state])
    expect((await up.child.ended).code).toBe(1)
    expect(up.lines()).toEqual([
      `shellcron: the disk of ${state} is full: free some space there, or name another directory with --state`,
    ])
  })

  test('goes on when etcd ends on a full disk, says so, and starts etcd again when there is room', async () => {
    up = await upOn('examples/quickstart', ['--state', state])
    const { outcomes, problems } = up
    const beats = () =>
      outcomes().filter(({ name, outcome }) => name === 'heartbeat' && outcome === 'Succeeded')
    await eventually('it runs', () => beats().length > 0, 60_000)
    const disk = fill(state)
    process.kill(etcdOn(state), 'SIGKILL')
    await eventually('it says so', () => problems().some(line => /^etcd: .*disk of .* is full/.test(line)))
    disk.free()
    const before = beats().length
    await eventually('etcd serves again', () => beats().length > before, 90_000)
    expect(up.child.ending()).toBeUndefined()
    expect(await up.interrupt()).toBe(0)
  }, 240_000)
})

function etcdOn(state: string): number {
  const line = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    } catch {
      return ''
    }
  }
  const isEtcd = (pid: string) =>
    line(pid)
      .split('\0')
      .includes(`--data-dir=${join(state, 'etcd')}`)
  return Number(readdirSync('/proc').find(pid => /^\d+$/.test(pid) && isEtcd(pid)) ?? 0)
}
