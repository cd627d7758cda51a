import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Losses, openLosses } from '../../../agent/output/losses.ts'
import { silentLog } from '../../../platform/log.ts'
import { bytesOf, launcherCommand } from '../../contract/launcher/launcher.ts'
import { startIngest } from '../../fixtures/ingest.ts'
import { attemptOf, shipping } from '../../fixtures/shipping.ts'
import { fill, mayMount, mountSmall, unmount } from '../../fixtures/small-disk.ts'
import { eventually } from '../eventually.ts'

/** A disk that becomes full in the middle of a stream: a small file system for the spools. */

test.skipIf(!mayMount)('a full disk cuts the output: the part before it is stored', async () => {
  const ingest = await startIngest()
  let spools = ''
  const ship = await shipping(launcherCommand, await ingest.client('a'), stateDir => {
    spools = join(stateDir, 'spool')
    mkdirSync(spools, { recursive: true })
    mountSmall(spools)
  })
  try {
    ship.run('full', 'yes | head -c 3000000')
    const { run } = attemptOf('full')
    const head = await eventually('it is stored', async () => {
      const found = await ingest.head(run)
      return found?.ended && found
    })
    expect(head.bytes).toBeGreaterThan(500_000)
    expect(head.bytes + head.cut).toBe(3_000_000)
    const chunks = await ingest.chunks(attemptOf('full'))
    expect(bytesOf(chunks, 'stdout').toString()).toBe('y\n'.repeat(1_500_000).slice(0, head.bytes))
    expect(chunks.at(-1)).toMatchObject({ stream: 'cut', stdout: head.cut, stderr: 0, error: 'ENOSPC' })
    await eventually('it is forgotten', async () => (await ship.launcher.runs()).length === 0)
    // There is room again.
    ship.run('after', 'echo fine')
    await eventually('it is stored', async () => (await ingest.head(attemptOf('after').run))?.bytes === 5)
  } finally {
    await ship.close().catch(() => undefined)
    unmount(spools)
    await ingest.close()
    rmSync(ship.stateDir, { recursive: true, force: true })
  }
})

test.skipIf(!mayMount)(
  'a loss that a full disk rejects is kept in memory, and written when the disk has space',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'shellcron-losses-'))
    mountSmall(dir)
    try {
      const path = join(dir, 'losses')
      const loss = (launch: string) => ({
        launch,
        uid: 'u',
        run: 'n.j.1',
        attempt: 1,
        namespace: 'n',
        name: 'x'.repeat(1_000),
        total: 5,
        at: 9,
      })
      const opened = () => openLosses({ path, maxBytes: 1e9, log: silentLog })
      const toReport = async (of: Losses) => (await of.first(10, new Set())).map(({ launch }) => launch)
      const losses = await opened()
      await losses.add([loss('first')])
      const disk = fill(dir)
      // The disk may take a part of the last line.
      for (const launch of ['a', 'b', 'c', 'd']) expect(await losses.add([loss(launch)])).toBe(1)
      expect(await toReport(losses)).toEqual(['first', 'a', 'b', 'c', 'd'])
      expect((await toReport(await opened())).length).toBeLessThan(5)
      disk.free()
      await losses.acknowledge(['b'])
      await losses.add([loss('e')])
      await losses.writeDeferred()
      expect((await toReport(await opened())).toSorted()).toEqual(['a', 'c', 'd', 'e', 'first'])
    } finally {
      unmount(dir)
      rmSync(dir, { recursive: true })
    }
  },
)
