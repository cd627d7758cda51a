import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeOnce } from './make-once.ts'

let base: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'shellcron-make-'))
})
afterEach(() => rm(base, { recursive: true }))

test('files that several ask for at once are made once', async () => {
  const dir = join(base, 'tool-1')
  let made = 0
  const make = async (tmp: string) => {
    made++
    await writeFile(join(tmp, 'a'), 'A')
  }
  await Promise.all(Array.from({ length: 3 }, () => makeOnce({ dir, names: ['a'], make })))
  expect(made).toBe(1)
  expect(await readFile(join(dir, 'a'), 'utf8')).toBe('A')
})

test('only missing files are made; others stay', async () => {
  const dir = join(base, 'tool-1')
  const make = async (tmp: string, missing: string[]) => {
    for (const name of missing) await writeFile(join(tmp, name), missing.join())
  }
  await makeOnce({ dir, names: ['a'], make })
  await makeOnce({ dir, names: ['a', 'b'], make })
  expect(await readFile(join(dir, 'a'), 'utf8')).toBe('a')
  expect(await readFile(join(dir, 'b'), 'utf8')).toBe('b')
})

test('a failed make leaves no files', async () => {
  const dir = join(base, 'tool-1')
  const make = async (tmp: string) => {
    await writeFile(join(tmp, 'a'), 'half')
    throw new Error('no compiler')
  }
  await expect(makeOnce({ dir, names: ['a'], make })).rejects.toThrow('no compiler')
  expect(await readdir(base)).toEqual(['tool-1.lock'])
})
