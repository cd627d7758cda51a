import { spawnSync } from 'node:child_process'
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { trustIn } from '../../../platform/trust.ts'
import { Folder, type FolderOptions, FULL_SCAN_MS } from './folder.ts'

let root: string
let options: FolderOptions
let folder: Folder
let read: string[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-folder-'))
  read = []
  options = {
    root,
    trust: trustIn(),
    clock: systemClock,
    parse: (file, text) => {
      read.push(`${file}=${text}`)
      return { objects: [], problems: text === 'bad' ? [{ file, message: 'bad' }] : [] }
    },
  }
  folder = new Folder(options)
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

const twice = async () => {
  await folder.scan()
  await folder.scan()
}
const problems = () =>
  [...folder.unreadable, ...[...folder.files.values()].flatMap(content => content.problems)].map(
    ({ file, message }) => `${file}: ${message}`,
  )

test('a FIFO, a device, a huge and an endless file are problems, also behind symbolic links', async () => {
  spawnSync('mkfifo', [join(root, 'fifo.yaml')])
  await symlink('/dev/zero', join(root, 'zero.yaml'))
  await symlink('fifo.yaml', join(root, 'link.yaml'))
  await writeFile(join(root, 'huge.yaml'), '')
  await truncate(join(root, 'huge.yaml'), 1e12)
  await twice()
  expect(problems().sort()).toEqual([
    'fifo.yaml: is a FIFO, not a regular file',
    'huge.yaml: is larger than 4194304 bytes; split it',
    'link.yaml: is a FIFO, not a regular file',
    'zero.yaml: is a device, not a regular file',
  ])
  expect(read).toEqual([])
})

test('a file or folder that every user can write is not used until that is mended', async () => {
  await put('a.yaml', '1')
  await put('open/b.yaml', '1')
  await chmod(join(root, 'a.yaml'), 0o666)
  await chmod(join(root, 'open'), 0o777)
  await twice()
  expect(read).toEqual([])
  for (const path of ['a.yaml', 'open'])
    expect(problems()).toContainEqual(
      expect.stringMatching(new RegExp(`^${path}: is not used: every user can write .*; run .chmod`)),
    )
  await chmod(join(root, 'a.yaml'), 0o644)
  await chmod(join(root, 'open'), 0o755)
  await twice()
  await twice()
  expect(read.sort()).toEqual(['a.yaml=1', 'open/b.yaml=1'])
  expect(problems()).toEqual([])
})

test('a file that becomes writable keeps what was read of it until then', async () => {
  await put('a.yaml', '1')
  await twice()
  await chmod(root, 0o777)
  await writeFile(join(root, 'a.yaml'), '2, by somebody else')
  await twice()
  expect(read).toEqual(['a.yaml=1'])
  expect(files()).toEqual(['a.yaml'])
})

describe.runIf(process.getuid?.() === 0)('for root', () => {
  const NOBODY = 65_534

  test('what another user owns is not used, unless that user is trusted', async () => {
    await put('a.yaml', '1')
    await put('own/b.yaml', '1')
    await chown(join(root, 'a.yaml'), NOBODY, NOBODY)
    await chown(join(root, 'own'), NOBODY, NOBODY)
    await twice()
    expect(read).toEqual([])
    for (const path of ['a.yaml', 'own'])
      expect(problems()).toContainEqual(
        expect.stringMatching(
          new RegExp(`^${path}: is not used: .* belongs to user nobody.*--trust-owner nobody`),
        ),
      )
    const trusting = new Folder({ ...options, trust: trustIn(['nobody']) })
    await trusting.scan()
    await trusting.scan()
    expect([...trusting.files.keys()].sort()).toEqual(['a.yaml', 'own/b.yaml'])
    trusting.close()
    expect(read.sort()).toEqual(['a.yaml=1', 'own/b.yaml=1'])
  })

  test('what a group can write is not used', async () => {
    await put('a.yaml', '1')
    await chmod(join(root, 'a.yaml'), 0o664)
    await twice()
    expect(problems()).toEqual([
      `a.yaml: is not used: its group can write ${join(root, 'a.yaml')}; run \`chmod g-w ${join(root, 'a.yaml')}\``,
    ])
  })

  test('a symbolic link that leads through a folder of another user is not used', async () => {
    const other = await mkdtemp(join(tmpdir(), 'shellcron-other-'))
    await writeFile(join(other, 'a.yaml'), '1')
    await chown(other, NOBODY, NOBODY)
    await symlink(join(other, 'a.yaml'), join(root, 'a.yaml'))
    await twice()
    expect(read).toEqual([])
    expect(problems()).toHaveLength(1)
    await rm(other, { recursive: true })
  })
})

describe('while every change is reported', () => {
  /** Runs `change` between two scans that find nothing else to do, and returns whether the second one finds it. */
  const finds = async (change: () => Promise<void>): Promise<boolean> => {
    for (let quiet = 0; quiet < 3; ) quiet = (await folder.scan()) ? quiet + 1 : 0
    await change()
    return !(await folder.scan())
  }

  test('a scan finds a change behind a symbolic link, a hard link, and in place of a folder or the directory', async () => {
    const other = await mkdtemp(join(tmpdir(), 'shellcron-other-'))
    await writeFile(join(other, 'a.yaml'), '1')
    await symlink(join(other, 'a.yaml'), join(root, 'linked.yaml'))
    expect(await finds(() => writeFile(join(other, 'a.yaml'), '22'))).toBe(true)
    await rm(join(root, 'linked.yaml'))
    await link(join(other, 'a.yaml'), join(root, 'hard.yaml'))
    expect(await finds(() => writeFile(join(other, 'a.yaml'), '333'))).toBe(true)
    await put('sub/b.yaml', '1')
    await put('next/b.yaml', '22')
    const replaceFolder = async () => {
      await rm(join(root, 'sub'), { recursive: true })
      await rename(join(root, 'next'), join(root, 'sub'))
    }
    expect(await finds(replaceFolder)).toBe(true)
    await finds(() => chmod(root, 0o777))
    expect(folder.unreadable).toHaveLength(1)
    await rm(other, { recursive: true })
  })

  test('an edit in place is noticed in a folder that took the place of another', async () => {
    await put('sub/b.yaml', '1')
    await put('next/b.yaml', '1')
    await finds(async () => {
      await rm(join(root, 'sub'), { recursive: true })
      await rename(join(root, 'next'), join(root, 'sub'))
    })
    await finds(async () => undefined)
    const changed = folder.changed(60_000, new AbortController().signal)
    await writeFile(join(root, 'sub/b.yaml'), '22')
    await changed
    await twice()
    expect(read.at(-1)).toBe('sub/b.yaml=22')
  })

  test('files are looked at one by one only every half minute', async () => {
    let now = 0
    folder.close()
    folder = new Folder({ ...options, clock: { ...systemClock, monotonic: () => now } })
    await put('a.yaml', '1')
    await finds(async () => undefined)
    // A change that no watch reports: the folder is not watched any more.
    folder.close()
    await writeFile(join(root, 'a.yaml'), '22')
    now += FULL_SCAN_MS - 1
    expect(await folder.scan()).toBe(true)
    now += 1
    expect(await folder.scan()).toBe(false)
  })
})
