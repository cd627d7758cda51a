import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePackages, type Packages } from '../../scripts/packages.ts'
import { temporaryDirectory } from '../servers/directory.ts'

const run = promisify(execFile)
const output = async (...[program = '', ...args]: string[]) =>
  (await run(program, args, { maxBuffer: 64 * 1024 ** 2 })).stdout

/** The Debian package and the tarball for amd64. */
const canMake = process.arch === 'x64' && process.platform === 'linux'
const MEGABYTE = 1_000_000

describe.runIf(canMake)('the packages', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let packages: Packages
  beforeAll(async () => {
    directory = await temporaryDirectory('shellcron-packages-')
    packages = await makePackages({ arch: 'amd64', out: join(directory.path, 'out'), isQuick: true })
  })
  afterAll(() => directory?.remove())

  test('the tarball has everything in one directory, and the program runs in a root with libraries and a shell alone', async () => {
    const root = join(directory.path, 'root')
    await makeRoot(root)
    await run('tar', ['-C', join(root, 'usr/lib'), '-xzf', packages.tarball])
    const lib = '/usr/lib/shellcron'
    await mkdir(join(root, 'usr/bin'))
    await symlink(`..${lib.slice(4)}/bin/shellcron`, join(root, 'usr/bin/shellcron'))
    const version = JSON.parse(await readFile(join(root, lib, 'package.json'), 'utf8')).version
    expect(await output('unshare', ...asRoot, `--root=${root}`, '/usr/bin/shellcron', '--version')).toBe(
      `${version}\n`,
    )
    const script = `${lib}/dist/etcd-linux-amd64 --version | head -n 1`
    expect(await output('unshare', ...asRoot, `--root=${root}`, '/bin/sh', '-c', script)).toContain(
      'etcd Version: 3.6',
    )
  })

  test('the tarball has the programs of one architecture, owned by root, that nobody else can write', async () => {
    const listed = (await output('tar', '-tvzf', packages.tarball)).trim().split('\n')
    const files = new Map(listed.map(line => [line.split(/\s+/)[5] ?? '', line] as const))
    for (const line of listed) expect(line).toMatch(/^([d-]rwxr-xr-x|-rw-r--r--) 0\/0 /)
    expect([...files.keys()].filter(name => !name.startsWith('shellcron/'))).toEqual([])
    expect([...files.keys()].filter(name => /\/dist\/.|\/node\/|\/systemd\/./.test(name)).sort()).toEqual([
      'shellcron/dist/etcd-linux-amd64',
      'shellcron/dist/exec-linux-amd64',
      'shellcron/dist/launcher-linux-amd64',
      'shellcron/node/',
      'shellcron/node/LICENSE',
      'shellcron/node/bin/',
      'shellcron/node/bin/node',
      'shellcron/systemd/shellcron-agent.service',
      'shellcron/systemd/shellcron-server.service',
    ])
    expect(files.get('shellcron/bin/shellcron')).toMatch(/^-rwxr-xr-x/)
  })

  test.runIf(existsSync('/usr/bin/dpkg-deb'))(
    'the Debian package has the same files, and its units and directories',
    async () => {
      const paths = (await output('dpkg-deb', '--contents', packages.deb)).trim().split('\n')
      const files = new Map(
        paths.map(line => [line.split(/\s+/)[5]?.slice(1) ?? '', line.slice(0, 20)] as const),
      )
      expect(files.get('/usr/lib/shellcron/node/bin/node')).toBe('-rwxr-xr-x root/root')
      expect(files.get('/usr/bin/shellcron')).toMatch(/^l.* root\/root$/)
      expect(files.get('/usr/bin/kubectl-shellcron')).toMatch(/^l.* root\/root$/)
      expect(files.get('/usr/lib/systemd/system/shellcron-agent.service')).toBe('-rw-r--r-- root/root')
      expect(files.get('/var/lib/shellcron/')).toBe('drwx------ root/root')
      expect(files.get('/etc/shellcron/')).toBe('drwxr-xr-x root/root')
      const inTarball = (await output('tar', '-tzf', packages.tarball)).trim().split('\n')
      const inDeb = [...files.keys()].filter(path => path.startsWith('/usr/lib/shellcron/'))
      expect(inDeb.length).toBe(inTarball.filter(path => !path.startsWith('shellcron/systemd/')).length)
    },
  )

  test.runIf(existsSync('/usr/bin/dpkg-deb'))(
    'the Debian package says what it is and needs no more than the libraries of Node',
    async () => {
      const field = async (name: string) => (await output('dpkg-deb', '--field', packages.deb, name)).trim()
      expect(await Promise.all(['Package', 'Architecture', 'Depends'].map(field))).toEqual([
        'shellcron',
        'amd64',
        'libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 8)',
      ])
      // In KiB.
      expect(Number(await field('Installed-Size')) * 1024).toBeLessThan(200 * MEGABYTE)
    },
  )
})

/** Without privileges, the user is root in a namespace of its own. */
const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']

/** Node's libraries, and busybox as /bin/sh and the few programs that scripts call. */
async function makeRoot(root: string): Promise<void> {
  const libraries = await output('ldd', process.execPath)
  for (const [path] of libraries.matchAll(/\/\S+/g)) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await cp(path, join(root, path), { dereference: true })
  }
  for (const path of ['bin', 'usr/lib', 'dev', 'tmp']) await mkdir(join(root, path), { recursive: true })
  await cp('/bin/busybox', join(root, 'bin/busybox'), { dereference: true })
  for (const name of ['sh', 'readlink', 'dirname', 'head']) await symlink('busybox', join(root, 'bin', name))
}
