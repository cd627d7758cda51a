import { chmod, chown, lchown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeStateDirectory } from './state-directory.ts'
import { distrust, distrustOfFile, resolveTrusted, trustAll, trustIn } from './trust.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const trust = trustIn()

let base: string
let dir: string

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'shellcron-trust-'))
  dir = join(base, 'state')
})
afterEach(() => rm(base, { recursive: true, force: true }))

const whyNot = async (path = dir, by = trust) => {
  const made = await makeStateDirectory(path, by)
  return made.kind === 'distrusted' ? made.why : undefined
}

describe('the rule', () => {
  const FILE = 0o100_000
  const judge = (uid: number, mode: number, caller: number, users: string[] = []) =>
    distrust('/x', { uid, mode: FILE | mode }, { trust: trustIn(users, caller) })

  test('the caller, root and a named user may own a path', () => {
    expect(judge(0, 0o755, 1000)).toBeUndefined()
    expect(judge(1000, 0o755, 1000)).toBeUndefined()
    expect(judge(2000, 0o755, 1000, ['2000'])).toBeUndefined()
    expect(judge(2000, 0o755, 1000)).toMatch(/^\/x belongs to user 2000.*chown.*--trust-owner 2000$/)
    expect(judge(2000, 0o755, 0)).toMatch(/run `chown root \/x`/)
  })

  test('what every user can write is refused; what a group can write is refused for root', () => {
    expect(judge(1000, 0o666, 1000)).toBe('every user can write /x; run `chmod o-w /x`')
    expect(judge(1000, 0o664, 1000)).toBeUndefined()
    expect(judge(0, 0o664, 0)).toBe('its group can write /x; run `chmod g-w /x`')
    expect(judge(0, 0o666, 0)).toBe('every user can write /x; run `chmod go-w /x`')
  })
})

describe('a state directory', () => {
  test('is created with mode 0700, and used again', async () => {
    expect(await whyNot(join(dir, 'a', 'b'))).toBeUndefined()
    expect(await whyNot(join(dir, 'a', 'b'))).toBeUndefined()
  })

  test.each([0o777, 0o1777, 0o770])('is refused with mode %o', async mode => {
    await mkdir(dir)
    await chmod(dir, mode)
    expect(await whyNot()).toMatch(/can write .*state; run `chmod g?o?-w/)
  })

  test('is refused in a parent that every user can write, unless that is sticky', async () => {
    await chmod(base, 0o777)
    expect(await whyNot()).toBe(
      isRoot
        ? `every user can write ${base}; run \`chmod go-w ${base}\``
        : `every user can write ${base}; run \`chmod o-w ${base}\``,
    )
    await chmod(base, 0o1777)
    expect(await whyNot()).toBeUndefined()
  })

  test('is refused while it holds a symbolic link, at any depth', async () => {
    await mkdir(join(dir, 'agent'), { recursive: true, mode: 0o700 })
    for (const link of [join(dir, 'shellcron.db'), join(dir, 'agent', 'spool')]) {
      await symlink(join(base, 'target'), link)
      expect(await whyNot()).toBe(`${link} is a symbolic link, which would be written through; remove it`)
      await rm(link)
    }
    expect(await whyNot()).toBeUndefined()
  })

  test('may be reached through a symbolic link of its owner', async () => {
    await mkdir(dir, { mode: 0o700 })
    await symlink(dir, join(base, 'link'))
    expect(await makeStateDirectory(join(base, 'link'), trust)).toEqual({ kind: 'trusted', path: dir })
  })

  test('a loop of symbolic links ends', async () => {
    await symlink('loop', join(base, 'loop'))
    expect(await whyNot(join(base, 'loop'))).toMatch(/too many symbolic links/)
  })
})

describe.runIf(isRoot)('what belongs to another user is refused, and trusted by name', () => {
  const refusesAndTrusts = async (path: string) => {
    expect(await whyNot()).toMatch(new RegExp(`^${path} belongs to user nobody`))
    expect(await whyNot(dir, trustIn(['nobody']))).toBeUndefined()
  }

  test('the directory', async () => {
    await mkdir(dir, { mode: 0o700 })
    await chown(dir, NOBODY, NOBODY)
    await refusesAndTrusts(dir)
  })

  test('a parent, also a sticky one', async () => {
    await chown(base, NOBODY, NOBODY)
    await chmod(base, 0o1755)
    await refusesAndTrusts(base)
  })

  test('a file in it', async () => {
    await mkdir(dir, { mode: 0o700 })
    const file = join(dir, 'launcher.log')
    await writeFile(file, '')
    await chown(file, NOBODY, NOBODY)
    await refusesAndTrusts(file)
  })

  test('a symbolic link on the way', async () => {
    const target = join(base, 'target')
    await mkdir(target, { mode: 0o700 })
    await symlink(target, dir)
    await lchown(dir, NOBODY, NOBODY)
    await refusesAndTrusts(dir)
  })
})

test('a path that does not exist yet is judged by what exists of it', async () => {
  expect(await resolveTrusted(join(dir, 'x', 'y'), { trust })).toEqual({
    kind: 'trusted',
    path: join(dir, 'x', 'y'),
  })
})

describe('a private key', () => {
  const whyNotKey = async (mode: number, by = trust) => {
    const key = join(base, 'tls.key')
    await writeFile(key, '')
    await chmod(key, mode)
    return distrustOfFile(key, { trust: by, isSecret: true })
  }

  test('is for its owner alone', async () => {
    expect(await whyNotKey(0o600)).toBeUndefined()
    expect(await whyNotKey(0o644)).toBe(
      `every user can read ${base}/tls.key; run \`chmod 600 ${base}/tls.key\``,
    )
    expect(await whyNotKey(0o640)).toBe(
      `its group can read ${base}/tls.key; run \`chmod 600 ${base}/tls.key\``,
    )
    expect(await whyNotKey(0o644, trustAll)).toBeUndefined()
  })

  test.runIf(isRoot)('that belongs to root may be read by its group, if that is not the caller', async () => {
    const caller = trustIn([], NOBODY)
    expect(await whyNotKey(0o640, caller)).toBeUndefined()
    expect(await whyNotKey(0o644, caller)).toMatch(/every user can read .*chmod o-rwx/)
  })
})

test('a file in a volume of Kubernetes is trusted: symbolic links of root, in a sticky directory', async () => {
  await mkdir(join(base, '..2026_1'))
  await writeFile(join(base, '..2026_1', 'agent.yaml'), '', { mode: 0o644 })
  await symlink('..2026_1', join(base, '..data'))
  await symlink('..data/agent.yaml', join(base, 'agent.yaml'))
  await chmod(base, 0o1777)
  expect(await distrustOfFile(join(base, 'agent.yaml'), { trust })).toBeUndefined()
})
