import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytesOf, implementations } from '../contract/launcher.ts'
import { ingestBench } from '../fixtures/ingest.ts'
import { attemptOf, shipping } from '../fixtures/shipping.ts'
import { mayMount, mountSmall, unmount } from '../fixtures/small-disk.ts'
import { eventually } from './eventually.ts'

/** A disk that is full in the middle of a stream: a small one of its own for the spools. */

describe.each(Object.entries(implementations))('%s', (_, command) => {
  test.skipIf(!mayMount)('what the disk took is stored, and the rest is said to be cut', async () => {
    const ingest = await ingestBench()
    let spools = ''
    const ship = await shipping(command, await ingest.client('a'), stateDir => {
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
})
