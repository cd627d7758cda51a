import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { Folder } from './folder.ts'

let root: string
let folder: Folder
let read: string[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-folder-'))
  read = []
  folder = new Folder({
    root,
    clock: systemClock,
    parse: (file, text) => {
      read.push(`${file}=${text}`)
      return { objects: [], problems: text === 'bad' ? [{ file, message: 'bad' }] : [] }
    },
  })
})
afterEach(async () => {
  folder.close()
  await rm(root, { recursive: true, force: true })
})

async function put(path: string, text: string): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true })
  await writeFile(join(root, path), text)
}

const files = () => [...folder.files.keys()].sort()

test('YAML files are found at any depth, except hidden ones, Secrets and ConfigMaps', async () => {
  for (const path of ['a.yaml', 'x/y/b.yml', 'c.json', '.d.yaml', '.git/e.yaml', 'secrets/ops/f/g.yaml']) {
    await put(path, path)
  }
  await symlink('a.yaml', join(root, 'link.yaml'))
  await symlink('.', join(root, 'circle'))
  expect(await folder.scan()).toBe(false)
  expect(await folder.scan()).toBe(true)
  expect(files()).toEqual(['a.yaml', 'link.yaml', 'x/y/b.yml'])
})

test('an unchanged file is read once', async () => {
  await put('a.yaml', '1')
  for (let i = 0; i < 4; i++) await folder.scan()
  expect(read).toEqual(['a.yaml=1'])
})

test('a change or deletion counts once two scans in a row have seen it', async () => {
  await put('a.yaml', '1')
  await folder.scan()
  await folder.scan()
  await put('a.yaml', '')
  await folder.scan()
  await put('a.yaml', '2, longer')
  await folder.scan()
  expect(await folder.scan()).toBe(true)
  expect(read).toEqual(['a.yaml=1', 'a.yaml=2, longer'])

  const { version } = folder
  await rename(join(root, 'a.yaml'), join(root, 'a.yaml~'))
  expect(await folder.scan()).toBe(false)
  await rename(join(root, 'a.yaml~'), join(root, 'a.yaml'))
  await folder.scan()
  await folder.scan()
  expect(files()).toEqual(['a.yaml'])
  await rm(join(root, 'a.yaml'))
  await folder.scan()
  await folder.scan()
  expect(files()).toEqual([])
  expect(folder.version).toBeGreaterThan(version)
})

test('a save is noticed at once, also in a folder that was created later', async () => {
  const stop = new AbortController()
  await folder.scan()
  await put('new/a.yaml', '1')
  await folder.changed(60_000, stop.signal)
  await folder.scan()
  await folder.scan()
  await writeFile(join(root, 'new/.tmp'), '2')
  await rename(join(root, 'new/.tmp'), join(root, 'new/a.yaml'))
  await folder.changed(60_000, stop.signal)
})

test('a missing directory is a problem, and removes no file', async () => {
  await put('a.yaml', '1')
  await folder.scan()
  await folder.scan()
  await rename(root, `${root}-away`)
  await folder.scan()
  await folder.scan()
  expect(files()).toEqual(['a.yaml'])
  expect(folder.unreadable).toMatchObject([{ file: '.' }])
  await rename(`${root}-away`, root)
  await folder.scan()
  expect(folder.unreadable).toEqual([])
})
