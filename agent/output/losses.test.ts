import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLosses } from './losses.ts'

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

test('a loss is known again after a crash, until the operator has been told', async () => {
  const path = join(dir, 'losses')
  expect(await (await openLosses(path)).add([loss])).toBe(1)
  const again = await openLosses(path)
  expect(again.first(10, new Set())).toEqual([loss])
  expect(again.first(10, new Set(again.first(10, new Set())))).toEqual([])
  await again.told([loss.launch])
  expect(again.size).toBe(0)
  expect((await openLosses(path)).size).toBe(0)
  await expect(readFile(path)).rejects.toThrow('ENOENT')
})

test('what the disk did not take is no loss: the output is still there', async () => {
  const losses = await openLosses(join(dir, 'gone', 'losses'))
  await expect(losses.add([loss])).rejects.toThrow('ENOENT')
  expect([losses.size, losses.has(loss.launch)]).toEqual([0, false])
})
