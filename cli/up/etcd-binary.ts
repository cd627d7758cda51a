import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInput } from '../../core/errors.ts'
import { isSafeEtcd, SAFE_ETCD } from '../../core/etcd-version.ts'
import { messageOf } from '../../platform/errors.ts'
import { exists, makeOnce } from '../../platform/make-once.ts'
import type { Machine } from './config.ts'
import { buildEtcd, etcdCache } from './etcd-build.ts'

/** An etcd program that runs on this machine. */
export interface EtcdBinary {
  path: string
  /** As in `3.6.16`. */
  version: string
  /** Absent if this version is fit for production. */
  warning?: string
}

type Version = readonly [number, number, number]

/** The oldest version on which ShellCron's protocol runs: good enough for a trial. */
const OLDEST: Version = [3, 4, 23]

const run = promisify(execFile)

/**
 * Finds an etcd program, or makes one. It tries in this order: the package's own; our cache; a recent one in PATH; a build with Go; an older one in PATH;
 * the Debian package. If all fail it throws InvalidInput, which names what to install.
 */
export async function findEtcd(options: {
  machine: Machine
  /** Gets a line for the user before a step that takes long. */
  onLine: (line: string) => void
  signal?: AbortSignal
}): Promise<EtcdBinary> {
  const { machine, onLine, signal } = options
  const cached = join(etcdCache(machine), 'etcd')
  const own = (await look(machine.packagedEtcd)) ?? (await look(cached))
  if (own) return own
  const inPath = await lookInPath(machine)
  if (inPath && isSafeEtcd(inPath.version)) return inPath

  const why: string[] = []
  const attempt = async (find: () => Promise<EtcdBinary | undefined>): Promise<EtcdBinary | undefined> => {
    try {
      return await find()
    } catch (error) {
      signal?.throwIfAborted()
      why.push(messageOf(error).trim())
      return undefined
    }
  }
  const built = await attempt(async () => {
    await buildEtcd({ machine, names: ['etcd'], onLine, ...(signal ? { signal } : {}) })
    return look(cached)
  })
  if (built) return built
  if (inPath && !isBefore(inPath.version, OLDEST)) return withWarning(inPath)
  const packaged = await attempt(() => unpackDebian(machine, onLine))
  if (packaged && !isBefore(packaged.version, OLDEST)) return withWarning(packaged)
  throw new InvalidInput(
    'etcd',
    `not found, and it could not be built here: install etcd ${SAFE_ETCD}, or Go (https://go.dev/dl). Tried:\n${why.join('\n')}`,
  )
}

function withWarning(binary: EtcdBinary): EtcdBinary {
  if (isSafeEtcd(binary.version)) return binary
  const warning = `etcd ${binary.version} is good enough for a trial only; production needs ${SAFE_ETCD}`
  return { ...binary, warning }
}

async function lookInPath(machine: Machine): Promise<EtcdBinary | undefined> {
  for (const dir of machine.path) {
    const found = await look(join(dir, 'etcd'))
    if (found) return found
  }
  return undefined
}

/** undefined: the file does not exist, or does not run here. */
async function look(path: string): Promise<EtcdBinary | undefined> {
  if (!(await exists(path))) return undefined
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 30_000 })
    const version = /etcd Version: (\d+\.\d+\.\d+)/.exec(stdout)?.[1]
    return version ? { path, version } : undefined
  } catch {
    return undefined
  }
}

function isBefore(version: string, than: Version): boolean {
  const parts = version.split('.').map(Number)
  for (const [i, part] of than.entries()) {
    const own = parts[i] ?? 0
    if (own !== part) return own < part
  }
  return false
}

/** Unpacks Debian's etcd-server into the cache. It installs nothing, and needs no root. */
async function unpackDebian(
  machine: Machine,
  onLine: (line: string) => void,
): Promise<EtcdBinary | undefined> {
  const dir = join(machine.cacheDir, 'etcd-debian')
  await makeOnce({
    dir,
    names: ['etcd'],
    make: async tmp => {
      onLine('unpacking etcd from the Debian package etcd-server')
      const root = join(tmp, 'root')
      await mkdir(root)
      await run('apt-get', ['download', 'etcd-server'], { cwd: tmp, env: machine.env })
      const deb = (await readdir(tmp)).find(name => name.endsWith('.deb'))
      if (!deb) throw new Error('apt-get found no package etcd-server')
      await run('dpkg-deb', ['-x', join(tmp, deb), root], { env: machine.env })
      await rename(join(root, 'usr/bin/etcd'), join(tmp, 'etcd'))
      await rm(root, { recursive: true })
    },
  })
  return look(join(dir, 'etcd'))
}
