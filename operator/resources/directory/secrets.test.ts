import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { trustIn } from '../../../platform/trust.ts'
import type { ObjectRef } from '../port.ts'
import { createFileLookups } from './secrets.ts'
import { isWorldReadable } from './world-readable.ts'

let root: string
let reported: ObjectRef[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shellcron-secrets-'))
  reported = []
})
afterEach(() => rm(root, { recursive: true }))

async function put(path: string, value: string | Uint8Array): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true })
  await writeFile(join(root, path), value)
}

const lookups = () => createFileLookups(root, ref => reported.push(ref), { trust: trustIn() })

test('each key is a file; its last line end is not part of the value', async () => {
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

test('a ConfigMap is not a Secret, and a name is not a path', async () => {
  await put('configmaps/ops/conf/a', 'b')
  await put('outside/x/y', 'z')
  const { lookUp } = lookups()
  expect(await lookUp('ConfigMap', 'ops', 'conf')).toMatchObject({ kind: 'found', data: { a: 'b' } })
  expect(await lookUp('Secret', 'ops', 'conf')).toEqual({ kind: 'absent' })
  expect(await lookUp('Secret', '..', 'outside')).toEqual({ kind: 'absent' })
  expect(await lookUp('Secret', 'ops', '../../outside/x')).toEqual({ kind: 'absent' })
})

/** Checks often enough for a change to count. */
async function settle(check: () => Promise<boolean>): Promise<void> {
  while (!(await check()));
}

test('only objects that were looked up are reported when they change, come or go', async () => {
  await put('secrets/ops/db/user', 'root')
  const { lookUp, check } = lookups()
  await lookUp('Secret', 'ops', 'db')
  await lookUp('Secret', 'ops', 'later')
  await put('secrets/ops/other/x', 'y')
  expect(await check()).toBe(true)
  expect(reported).toEqual([])
  await put('secrets/ops/db/user', 'admin')
  await settle(check)
  await settle(check)
  expect(reported).toEqual([{ kind: 'Secret', namespace: 'ops', name: 'db' }])
  await put('secrets/ops/later/key', 'v')
  await settle(check)
  expect(reported.at(-1)).toEqual({ kind: 'Secret', namespace: 'ops', name: 'later' })
  await rm(join(root, 'secrets/ops/later'), { recursive: true })
  await settle(check)
  expect(reported).toHaveLength(3)
})

test('a value is not reported before it is completely written', async () => {
  await put('secrets/ops/db/user', 'root')
  const { lookUp, check } = lookups()
  await lookUp('Secret', 'ops', 'db')
  for (const half of ['', 'adm']) {
    await put('secrets/ops/db/user', half)
    expect(await check()).toBe(false)
  }
  await put('secrets/ops/db/user', 'admin')
  expect(await check()).toBe(false)
  expect(reported).toEqual([])
  expect(await check()).toBe(true)
  expect(reported).toHaveLength(1)
})

test('a Secret that is missing only between two checks is not reported', async () => {
  await put('secrets/ops/db/user', 'root')
  const { lookUp, check } = lookups()
  await lookUp('Secret', 'ops', 'db')
  await rename(join(root, 'secrets/ops/db'), join(root, 'secrets/ops/aside'))
  expect(await check()).toBe(false)
  await rename(join(root, 'secrets/ops/aside'), join(root, 'secrets/ops/db'))
  await settle(check)
  expect(reported).toEqual([])
})

test('a Secret that is mounted through symbolic links, as the kubelet does, is read', async () => {
  await put('secrets/ops/db/..2026/user', 'root')
  await symlink('..2026', join(root, 'secrets/ops/db/..data'))
  await symlink('..data/user', join(root, 'secrets/ops/db/user'))
  const { lookUp, check } = lookups()
  expect(await lookUp('Secret', 'ops', 'db')).toMatchObject({ data: { user: 'root' } })
  // A rotation creates another folder, and renames one link.
  await put('secrets/ops/db/..2027/user', 'admin')
  await symlink('..2027', join(root, 'secrets/ops/db/..data_tmp'))
  await rename(join(root, 'secrets/ops/db/..data_tmp'), join(root, 'secrets/ops/db/..data'))
  await settle(check)
  expect(reported).toHaveLength(1)
  expect(await lookUp('Secret', 'ops', 'db')).toMatchObject({ data: { user: 'admin' } })
})

test('a Secret that every user can read is a problem that names the file, until its mode is fixed', async () => {
  // It also depends on the modes of the parent folders.
  await put('probe', 'x')
  for (const open of ['', 'probe']) await chmod(join(root, open), 0o755)
  const reachable = await isWorldReadable(join(root, 'probe'))
  await put('secrets/ops/db/user', 'root')
  await put('secrets/ops/db/key', 'k')
  await put('configmaps/ops/conf/a', 'b')
  for (const folder of ['secrets', 'secrets/ops', 'secrets/ops/db']) await chmod(join(root, folder), 0o755)
  await chmod(join(root, 'secrets/ops/db/user'), 0o640)
  await chmod(join(root, 'secrets/ops/db/key'), 0o644)
  const { lookUp, check, problems } = lookups()
  expect(await lookUp('Secret', 'ops', 'db')).toMatchObject({
    kind: 'found',
    data: { user: 'root', key: 'k' },
  })
  await lookUp('ConfigMap', 'ops', 'conf')
  const problem = { file: 'secrets/ops/db/key', message: expect.stringContaining('chmod o=') as string }
  expect(problems()).toEqual(reachable ? [problem] : [])
  await chmod(join(root, 'secrets/ops/db'), 0o700)
  await settle(check)
  expect(reported).toHaveLength(1)
  await lookUp('Secret', 'ops', 'db')
  expect(problems()).toEqual([])
})

test('keys from the environment are added to those from files, which take precedence', async () => {
  const given = new Map([
    ['ops/db', { password: 'from-env', user: 'from-env' }],
    ['ops/api', { token: 't' }],
  ])
  await put('secrets/ops/db/user', 'root')
  const { lookUp } = createFileLookups(root, ref => reported.push(ref), { given, trust: trustIn() })
  expect(await lookUp('Secret', 'ops', 'db')).toMatchObject({ data: { password: 'from-env', user: 'root' } })
  expect(await lookUp('Secret', 'ops', 'api')).toMatchObject({ kind: 'found', data: { token: 't' } })
  expect(await lookUp('ConfigMap', 'ops', 'api')).toEqual({ kind: 'absent' })
  expect(await lookUp('Secret', 'dev', 'api')).toEqual({ kind: 'absent' })
})

test('a value that every user can write is not used, and the answer says how to mend it', async () => {
  await put('configmaps/ops/conf/a', 'b')
  const path = join(root, 'configmaps/ops/conf/a')
  await chmod(path, 0o666)
  const { lookUp, check } = lookups()
  expect(await lookUp('ConfigMap', 'ops', 'conf')).toEqual({
    kind: 'forbidden',
    message: expect.stringMatching(/^every user can write .*; run `chmod g?o-w /),
  })
  await chmod(path, 0o644)
  await settle(check)
  expect(reported).toMatchObject([{ kind: 'ConfigMap', name: 'conf' }])
  expect(await lookUp('ConfigMap', 'ops', 'conf')).toMatchObject({ kind: 'found', data: { a: 'b' } })
})
