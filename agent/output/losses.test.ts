import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import type { Loss } from './loss-file.ts'
import { type Losses, openLosses } from './losses.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-losses-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const loss = {
  launch: 'l#1@1',
  uid: 'u',
  run: 'n.j.1',
  attempt: 1,
  namespace: 'n',
  name: 'j',
  total: 5,
  at: 9,
}

const at = (n: number) => ({ ...loss, launch: `l${n}#1@1` })
const many = (count: number) => Array.from({ length: count }, (_, n) => at(n))
const none = new Set<Loss>()
const opened = (path = join(dir, 'losses'), maxBytes = 1e9) => openLosses({ path, maxBytes, log: silentLog })

test('a loss survives a crash, until the operator has stored it', async () => {
  expect(await (await opened()).add([loss])).toBe(1)
  const again = await opened()
  expect(await again.first(10, none)).toEqual([loss])
  expect(again.has(loss.launch)).toBe(true)
  const all = new Set(await again.first(10, none))
  expect([await again.first(10, all), again.hasMore(all)]).toEqual([[], false])
  await again.acknowledge([loss.launch])
  expect(again.hasMore(none)).toBe(false)
  expect((await opened()).hasMore(none)).toBe(false)
  expect(await readdir(dir)).toEqual([])
})

test('a loss that cannot be written is not a loss: the output is still in the spool', async () => {
  const losses = await opened(join(dir, 'gone', 'losses'))
  await expect(losses.add([loss])).rejects.toThrow('ENOENT')
  expect([losses.hasMore(none), losses.has(loss.launch)]).toEqual([false, false])
})

test('each of 70,000 losses is reported once, the oldest first, across a crash', async () => {
  const all = many(70_000)
  const before = await opened()
  for (let n = 0; n < all.length; n += 5_000) expect(await before.add(all.slice(n, n + 5_000))).toBe(5_000)
  const reported: Loss[] = []
  const report = async (losses: Losses, count: number) => {
    while (losses.hasMore(none) && reported.length < count) {
      const next = await losses.first(7_000, none)
      reported.push(...next)
      await losses.acknowledge(next.map(({ launch }) => launch))
    }
  }
  await report(before, 21_000)
  const after = await opened()
  await after.add([at(70_000)])
  await report(after, 1e9)
  expect(reported).toEqual(many(70_001))
  expect(await readdir(dir)).toEqual([])
})

test('while all losses in memory are excluded, none is reported; the rest follow once these are acknowledged', async () => {
  const losses = await opened()
  for (const all = many(70_000); all.length > 0; ) await losses.add(all.splice(0, 5_000))
  const excluded = new Set(await losses.first(70_000, none))
  expect([excluded.size, losses.hasMore(excluded)]).toEqual([50_000, false])
  await losses.acknowledge([...excluded].map(({ launch }) => launch))
  expect((await losses.first(70_000, none)).length).toBe(20_000)
})

test('losses beyond the limit are not recorded, and the result says so; acknowledged losses free space', async () => {
  const line = JSON.stringify(at(0)).length + 1
  const losses = await opened(undefined, 3 * line)
  expect(await losses.add(many(5))).toBe(3)
  expect(await losses.add([at(5)])).toBe(0)
  await losses.acknowledge([at(0).launch])
  expect(await losses.add([at(5), at(6)])).toBe(1)
  expect((await losses.first(10, none)).map(({ launch }) => launch)).toEqual([1, 2, 5].map(n => at(n).launch))
})

test('an incomplete line that a crash left does not damage the next loss', async () => {
  await (await opened()).add([at(1)])
  await appendFile(join(dir, 'losses'), '{"launch":')
  await (await opened()).add([at(2)])
  expect(await (await opened()).first(10, none)).toEqual([at(1), at(2)])
})
