import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readTextFile, textOf } from './text-file.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-text-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const read = (name: string) => readTextFile(join(dir, name), { maxBytes: 100 })
const put = (name: string, text: string) => writeFile(join(dir, name), text)

test('a regular file is read, also an empty one and one behind a symbolic link', async () => {
  await put('a', 'Grüße')
  await put('empty', '')
  await symlink('a', join(dir, 'link'))
  expect(await read('a')).toEqual({ kind: 'text', text: 'Grüße' })
  expect(await read('link')).toEqual({ kind: 'text', text: 'Grüße' })
  expect(await read('empty')).toEqual({ kind: 'text', text: '' })
})

test('a FIFO, a socket, a device and a directory are refused at once, also behind symbolic links', async () => {
  spawnSync('mkfifo', [join(dir, 'fifo')])
  const server = createServer()
  await new Promise<void>(done => server.listen(join(dir, 'socket'), done))
  await mkdir(join(dir, 'directory'))
  const kinds = { fifo: 'a FIFO', socket: 'a socket', '/dev/zero': 'a device', directory: 'a directory' }
  for (const [target, kind] of Object.entries(kinds)) {
    await symlink(target, join(dir, 'link'))
    const refused = { kind: 'refused', why: `is ${kind}, not a regular file` }
    if (!target.startsWith('/')) expect(await read(target)).toEqual(refused)
    expect(await read('link')).toEqual(refused)
    await rm(join(dir, 'link'))
  }
  await new Promise(done => server.close(done))
})

test('a file is refused if it is too large, or has more bytes than it reports', async () => {
  const refused = { kind: 'refused', why: 'is larger than 100 bytes; split it' }
  await put('limit', 'x'.repeat(100))
  await put('huge', '')
  await truncate(join(dir, 'huge'), 1e12)
  expect(await read('limit')).toMatchObject({ kind: 'text' })
  expect(await read('huge')).toEqual(refused)
  // It reports the size 0.
  expect(await readTextFile('/proc/self/status', { maxBytes: 100 })).toEqual(refused)
})

test('a stream without an end is refused at the limit', async () => {
  async function* endless() {
    for (;;) yield 'x'.repeat(30)
  }
  expect(await textOf(endless(), 100)).toMatchObject({ kind: 'refused' })
})

test('a judge refuses by the properties of the file', async () => {
  await put('a', 'x')
  const limits = { maxBytes: 100, judge: () => 'belongs to nobody' }
  expect(await readTextFile(join(dir, 'a'), limits)).toEqual({ kind: 'refused', why: 'belongs to nobody' })
})
