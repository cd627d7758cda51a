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
const opened = (path = join(dir, 'losses'), mostBytes = 1e9) =>
  openLosses({ path, mostBytes, log: silentLog })

test('a loss is known again after a crash, until the operator has been told', async () => {
  expect(await (await opened()).add([loss])).toBe(1)
  const again = await opened()
  expect(await again.first(10, none)).toEqual([loss])
  expect(again.has(loss.launch)).toBe(true)
  const but = new Set(await again.first(10, none))
  expect([await again.first(10, but), again.isAny(but)]).toEqual([[], false])
  await again.told([loss.launch])
  expect(again.isAny(none)).toBe(false)
  expect((await opened()).isAny(none)).toBe(false)
  expect(await readdir(dir)).toEqual([])
})

test('what the disk did not take is no loss: the output is still there', async () => {
  const losses = await opened(join(dir, 'gone', 'losses'))
  await expect(losses.add([loss])).rejects.toThrow('ENOENT')
  expect([losses.isAny(none), losses.has(loss.launch)]).toEqual([false, false])
})

test('however many there are each is told once, the oldest first, and across a crash', async () => {
  const all = many(70_000)
  const before = await opened()
  for (let n = 0; n < all.length; n += 5_000) expect(await before.add(all.slice(n, n + 5_000))).toBe(5_000)
  const told: Loss[] = []
  const tell = async (losses: Losses, most: number) => {
    while (losses.isAny(none) && told.length < most) {
      const next = await losses.first(7_000, none)
      told.push(...next)
      await losses.told(next.map(({ launch }) => launch))
    }
  }
  await tell(before, 21_000)
  const after = await opened()
  await after.add([at(70_000)])
  await tell(after, 1e9)
  expect(told).toEqual(many(70_001))
  expect(await readdir(dir)).toEqual([])
})

test('those in memory may all rest: then there is nothing to be told, until some are', async () => {
  const losses = await opened()
  for (const all = many(70_000); all.length > 0; ) await losses.add(all.splice(0, 5_000))
  const resting = new Set(await losses.first(70_000, none))
  expect([resting.size, losses.isAny(resting)]).toEqual([50_000, false])
  await losses.told([...resting].map(({ launch }) => launch))
  expect((await losses.first(70_000, none)).length).toBe(20_000)
})

test('past so many bytes none is kept, and it says so; what was told makes room', async () => {
  const line = JSON.stringify(at(0)).length + 1
  const losses = await opened(undefined, 3 * line)
  expect(await losses.add(many(5))).toBe(3)
  expect(await losses.add([at(5)])).toBe(0)
  await losses.told([at(0).launch])
  expect(await losses.add([at(5), at(6)])).toBe(1)
  expect((await losses.first(10, none)).map(({ launch }) => launch)).toEqual([1, 2, 5].map(n => at(n).launch))
})

test('behind what a crash left of a line the next loss is whole', async () => {
  await (await opened()).add([at(1)])
  await appendFile(join(dir, 'losses'), '{"launch":')
  await (await opened()).add([at(2)])
  expect(await (await opened()).first(10, none)).toEqual([at(1), at(2)])
})
