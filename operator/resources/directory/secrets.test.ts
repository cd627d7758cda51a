import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ObjectRef } from '../port.ts'
import { createFileLookups } from './secrets.ts'

let root: string
let told: ObjectRef[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-secrets-'))
  told = []
})
afterEach(() => rm(root, { recursive: true }))

async function put(path: string, value: string | Uint8Array): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true })
  await writeFile(join(root, path), value)
}

const lookups = () => createFileLookups(root, ref => told.push(ref))

test('each key is a file, whose last line end is not part of the value', async () => {
  await put('secrets/ops/db/user', 'root\n')
  await put('secrets/ops/db/password', 'two\nlines\n\n')
  await put('secrets/ops/db/.user.swp', 'x')
  await put('secrets/ops/db/key', Uint8Array.of(0xff, 0xfe))
  await put('secrets/ops/db/nul', 'a\0b')
  expect(await lookups().lookUp('Secret', 'ops', 'db')).toEqual({
    kind: 'found',
    data: { user: 'root', password: 'two\nlines\n' },
    notText: ['key', 'nul'],
  })
})

test('a ConfigMap is not a Secret, nor is a name a path', async () => {
  await put('configmaps/ops/conf/a', 'b')
  await put('outside/x/y', 'z')
  const { lookUp } = lookups()
  expect(await lookUp('ConfigMap', 'ops', 'conf')).toMatchObject({ kind: 'found', data: { a: 'b' } })
  expect(await lookUp('Secret', 'ops', 'conf')).toEqual({ kind: 'absent' })
  expect(await lookUp('Secret', '..', 'outside')).toEqual({ kind: 'absent' })
  expect(await lookUp('Secret', 'ops', '../../outside/x')).toEqual({ kind: 'absent' })
})

test('what was looked up is told when it changes, comes or goes, and nothing else', async () => {
  await put('secrets/ops/db/user', 'root')
  const { lookUp, check } = lookups()
  await lookUp('Secret', 'ops', 'db')
  await lookUp('Secret', 'ops', 'later')
  await put('secrets/ops/other/x', 'y')
  await check()
  expect(told).toEqual([])
  await put('secrets/ops/db/user', 'admin')
  await check()
  await check()
  expect(told).toEqual([{ kind: 'Secret', namespace: 'ops', name: 'db' }])
  await put('secrets/ops/later/key', 'v')
  await check()
  expect(told.at(-1)).toEqual({ kind: 'Secret', namespace: 'ops', name: 'later' })
  await rm(join(root, 'secrets/ops/later'), { recursive: true })
  await check()
  expect(told).toHaveLength(3)
})

test('a Secret that is mounted through links, as kubelet does, is read', async () => {
  await put('secrets/ops/db/..2026/user', 'root')
  await symlink('..2026', join(root, 'secrets/ops/db/..data'))
  await symlink('..data/user', join(root, 'secrets/ops/db/user'))
  expect(await lookups().lookUp('Secret', 'ops', 'db')).toMatchObject({ data: { user: 'root' } })
})
