import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import { gatherBatch } from './gather-batch.ts'
import { type Launch, newLaunch } from './launch.ts'
import { openLosses } from './losses.ts'

const attempt = { uid: 'u', run: 'n.j.1', attempt: 1, namespace: 'n', name: 'j' }

test('a launch that becomes ready again while the batch is gathered is in it once, and stays ready', async () => {
  const launch = newLaunch('l')
  const ready = new Set<Launch>([launch])
  const batch = await gatherBatch({
    losses: await openLosses({ path: '/nonexistent/losses', maxBytes: 0, log: silentLog }),
    pendingLosses: new Set(),
    ready,
    reader: () => async read => {
      // It ends during the read.
      ready.add(read)
      return { ...attempt, offset: 0, next: 1, chunks: new Uint8Array(1) }
    },
  })
  expect([batch.length, ready.has(launch)]).toEqual([1, true])
})

test('a batch full of losses leaves space for running launches', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-collect-'))
  const losses = await openLosses({ path: join(dir, 'losses'), maxBytes: 1e9, log: silentLog })
  await losses.add(
    Array.from({ length: 3_000 }, (_, n) => ({ ...attempt, launch: `l${n}`, total: 1, at: 1 })),
  )
  const launch = newLaunch('l')
  const batch = await gatherBatch({
    losses,
    pendingLosses: new Set(),
    ready: new Set([launch]),
    reader: () => async () => ({ ...attempt, offset: 0, next: 1, chunks: new Uint8Array(1) }),
  })
  expect(batch.at(-1)?.source).toEqual({ launch })
  expect(batch.length).toBe(501)
  await rm(dir, { recursive: true })
})
