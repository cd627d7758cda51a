/**
 * `make packages`: for each architecture a Debian package and a tarball, in dist/packages. Both contain the release (scripts/bundle.ts) with
 * a Node, an etcd, the launcher and its helper of this architecture, so a server needs nothing else.
 */
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { bundle } from './bundle.ts'
import { type Arch, etcdFor, nfpm, nodeFor } from './package-parts.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ARCHITECTURES: readonly Arch[] = ['amd64', 'arm64']

export interface PackageOptions {
  arch: Arch
  /** The directory of the packages. */
  out: string
  /** Default: the version in package.json. */
  version?: string
  /** Quick and big, for tests. */
  isQuick?: boolean
}

export interface Packages {
  deb: string
  tarball: string
}

/** Makes both packages. The same sources and tools make the same files. */
export async function makePackages({
  arch,
  out,
  version,
  isQuick = false,
}: PackageOptions): Promise<Packages> {
  const { version: own } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  const mtime = await commitTime()
  const of = { arch, out, version: version ?? own, isQuick, mtime }
  const stage = await mkdtemp(join(tmpdir(), 'shellcron-package-'))
  try {
    await fill(stage, arch, mtime)
    await mkdir(out, { recursive: true })
    return { deb: await makeDeb(stage, of), tarball: await makeTarball(stage, of) }
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}

interface Making extends Required<PackageOptions> {
  mtime: string
}

/** The directories that packaging/nfpm.yaml installs: lib, units and doc. */
async function fill(stage: string, arch: Arch, mtime: string): Promise<void> {
  const lib = join(stage, 'lib')
  await bundle(lib)
  const programs = await readdir(join(lib, 'dist'))
  for (const name of programs.filter(each => !each.endsWith(`-linux-${arch}`)))
    await rm(join(lib, 'dist', name))
  // To build etcd. The package has one.
  await rm(join(lib, 'scripts/etcd'), { recursive: true })
  await cp(await etcdFor(arch), join(lib, `dist/etcd-linux-${arch}`))
  await cp(await nodeFor(arch), join(lib, 'node'), { recursive: true })
  await cp(join(ROOT, 'packaging/systemd'), join(stage, 'units'), { recursive: true })
  await mkdir(join(stage, 'doc'))
  await cp(join(ROOT, 'packaging/copyright'), join(stage, 'doc/copyright'))
  await cp(join(ROOT, 'CHANGELOG.md'), join(stage, 'doc/CHANGELOG.md'))
  await plainModes(stage)
  await run('find', [stage, '-exec', 'touch', '--no-dereference', '--date', mtime, '{}', '+'])
}

/** 0755 for directories and programs, 0644 for other files, whatever the umask and the modes of the checkout. */
async function plainModes(dir: string): Promise<void> {
  await chmod(dir, 0o755)
  for (const each of await readdir(dir, { withFileTypes: true, recursive: true })) {
    const path = join(each.parentPath, each.name)
    const isProgram = each.isDirectory() || ((await stat(path)).mode & 0o100) !== 0
    await chmod(path, isProgram ? 0o755 : 0o644)
  }
}

async function makeDeb(stage: string, { arch, out, version, isQuick, mtime }: Making): Promise<string> {
  const path = join(out, `shellcron_${version}_${arch}.deb`)
  const variables: Record<string, string> = {
    ARCH: arch,
    VERSION: version,
    STAGE: stage,
    COMPRESSION: isQuick ? 'none' : 'xz',
    MTIME: mtime,
  }
  const template = await readFile(join(ROOT, 'packaging/nfpm.yaml'), 'utf8')
  const config = join(stage, 'nfpm.yaml')
  await writeFile(
    config,
    template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, name: string) => variables[name] ?? whole),
  )
  const args = ['package', '--config', config, '--packager', 'deb', '--target', `${path}.new`]
  await run('nice', [await nfpm(), ...args], { cwd: ROOT })
  await rename(`${path}.new`, path)
  return path
}

/** One directory, `shellcron`, with the units in `systemd`. */
async function makeTarball(stage: string, { arch, out, version, isQuick, mtime }: Making): Promise<string> {
  const path = join(out, `shellcron-${version}-linux-${arch}.tar.gz`)
  await rename(join(stage, 'units'), join(stage, 'lib/systemd'))
  await run('touch', ['--date', mtime, join(stage, 'lib')])
  await rename(join(stage, 'lib'), join(stage, 'shellcron'))
  const order = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  await run('tar', [
    '-C',
    stage,
    ...order,
    '-I',
    isQuick ? 'gzip -n1' : 'gzip -n9',
    '-cf',
    `${path}.new`,
    'shellcron',
  ])
  await rename(`${path}.new`, path)
  return path
}

/** The time of all files in a package: of the last commit, so that it can be made again. */
async function commitTime(): Promise<string> {
  const given = process.env['SOURCE_DATE_EPOCH']
  if (given) return new Date(Number(given) * 1000).toISOString().replace('.000Z', 'Z')
  const commit = await run('git', ['log', '-1', '--format=%cI'], { cwd: ROOT }).catch(() => undefined)
  return new Date(commit?.stdout.trim() || 0).toISOString().replace('.000Z', 'Z')
}

if (import.meta.main) {
  for (const arch of ARCHITECTURES) {
    for (const path of Object.values(await makePackages({ arch, out: join(ROOT, 'dist/packages') }))) {
      process.stdout.write(`${path} ${Math.round((await stat(path)).size / 1e6)} MB\n`)
    }
  }
}
