import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Machine } from './config.ts'
import { findEtcd } from './etcd-binary.ts'

let base: string
let lines: string[]
let machine: Machine

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'shellcron-find-'))
  lines = []
  // A machine that has only a shell.
  const bin = join(base, 'bin')
  await mkdir(bin)
  machine = {
    cacheDir: join(base, 'cache'),
    path: [bin],
    go: 'go',
    packagedEtcd: join(base, 'lib/etcd'),
    env: { PATH: bin },
  }
})
afterEach(() => rm(base, { recursive: true }))

const find = () => findEtcd({ machine, onLine: line => lines.push(line) })

async function program(path: string, script: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
  await chmod(path, 0o755)
  return path
}
const etcd = (path: string, version: string) => program(path, `echo 'etcd Version: ${version}'`)

test("a package's own comes first", async () => {
  const path = await etcd(join(base, 'lib/etcd'), '3.6.16')
  await etcd(join(base, 'cache/etcd-v3.6.16/etcd'), '3.6.16')
  expect(await find()).toEqual({ path, version: '3.6.16' })
})

test('the cache comes next', async () => {
  const path = await etcd(join(base, 'cache/etcd-v3.6.16/etcd'), '3.6.16')
  await etcd(join(base, 'bin/etcd'), '3.7.3')
  expect(await find()).toEqual({ path, version: '3.6.16' })
  expect(lines).toEqual([])
})

test('a recent one in PATH is used as it is', async () => {
  const path = await etcd(join(base, 'bin/etcd'), '3.6.14')
  expect(await find()).toEqual({ path, version: '3.6.14' })
})

test('a build with Go is preferred to an old one in PATH, and is kept', async () => {
  await etcd(join(base, 'bin/etcd'), '3.6.13')
  await program(
    join(base, 'bin/go'),
    '[ "$1" = build ] || exit 0; while [ "$1" != -o ]; do shift; done; cp "$(dirname "$0")/etcd" "$2"; sed -i s/3.6.13/3.6.16/ "$2"',
  )
  const path = join(base, 'cache/etcd-v3.6.16/etcd')
  expect(await find()).toEqual({ path, version: '3.6.16' })
  expect(lines).toEqual(['building etcd 3.6.16 with Go, once for this machine; this may take two minutes'])
})

test('if the build fails, an old one in PATH is used, with a warning', async () => {
  await program(join(base, 'bin/go'), 'echo no network >&2; exit 1')
  const path = await etcd(join(base, 'bin/etcd'), '3.4.23')
  expect(await find()).toEqual({
    path,
    version: '3.4.23',
    warning:
      'etcd 3.4.23 is good enough for a trial only; production needs 3.6.14 or later, or 3.7.1 or later',
  })
})

test('without etcd and Go, the Debian package is unpacked', async () => {
  await program(join(base, 'bin/apt-get'), 'touch etcd-server_3.4.23_amd64.deb')
  await program(
    join(base, 'bin/dpkg-deb'),
    `mkdir -p "$3/usr/bin"; printf '#!/bin/sh\\necho etcd Version: 3.4.23\\n' >"$3/usr/bin/etcd"; chmod +x "$3/usr/bin/etcd"`,
  )
  expect(await find()).toMatchObject({ path: join(base, 'cache/etcd-debian/etcd'), version: '3.4.23' })
})

test('if no etcd can be found or made, the error names what to install, and what was tried', async () => {
  await program(join(base, 'bin/go'), 'echo no network >&2; exit 1')
  await etcd(join(base, 'bin/etcd'), '3.3.0')
  await expect(find()).rejects.toMatchObject({
    field: 'etcd',
    message: expect.stringMatching(
      /install etcd 3\.6\.14 or later, or 3\.7\.1 or later, or Go[\s\S]*no network[\s\S]*apt-get/,
    ),
  })
})
