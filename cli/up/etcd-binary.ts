import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf } from '../../platform/errors.ts'
import { exists, makeOnce } from '../../platform/make-once.ts'
import type { Machine } from './config.ts'
import { buildEtcd, etcdCache } from './etcd-build.ts'

/** An etcd program that runs here. */
export interface EtcdBinary {
  path: string
  /** As in `3.6.16`. */
  version: string
  /** What the user should know of it; absent if it is good for production. */
  warning?: string
}

type Version = readonly [number, number, number]

/** Earlier ones have faults that ShellCron cannot live with: in roles, and in leases. */
const SAFE: Version = [3, 6, 14]
/** The oldest on which ShellCron's protocol runs: for trying it out. */
const OLDEST: Version = [3, 4, 23]

const run = promisify(execFile)

/**
 * Finds an etcd to start, or makes one. In this order: the one in our cache; one in PATH that is new enough; one built with Go;
 * an older one in PATH; the one of the Debian package. Throws InvalidInput that says what to install if none can be had.
 */
export async function findEtcd(options: {
  machine: Machine
  /** Gets a line for the user when something takes time. */
  onLine: (line: string) => void
  signal?: AbortSignal
}): Promise<EtcdBinary> {
  const { machine, onLine, signal } = options
  const cached = join(etcdCache(machine), 'etcd')
  const inCache = await look(cached)
  if (inCache) return inCache
  const inPath = await lookInPath(machine)
  if (inPath && !isBefore(inPath.version, SAFE)) return inPath

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
    `there is none, and none can be made here: install etcd ${SAFE.join('.')} or later, or Go (https://go.dev/dl)\n${why.join('\n')}`,
  )
}

function withWarning(binary: EtcdBinary): EtcdBinary {
  if (!isBefore(binary.version, SAFE)) return binary
  const warning = `etcd ${binary.version} is for trying out only: production needs ${SAFE.join('.')} or later`
  return { ...binary, warning }
}

async function lookInPath(machine: Machine): Promise<EtcdBinary | undefined> {
  for (const dir of machine.path) {
    const found = await look(join(dir, 'etcd'))
    if (found) return found
  }
  return undefined
}

/** undefined: there is none, or it does not run here. */
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

/** Debian's etcd-server, unpacked into the cache: nothing is installed, and no root is needed. */
async function unpackDebian(
  machine: Machine,
  onLine: (line: string) => void,
): Promise<EtcdBinary | undefined> {
  const dir = join(machine.cacheDir, 'etcd-debian')
  await makeOnce({
    dir,
    names: ['etcd'],
    make: async tmp => {
      onLine('unpacking etcd of the package etcd-server')
      const root = join(tmp, 'root')
      await mkdir(root)
      await run('apt-get', ['download', 'etcd-server'], { cwd: tmp, env: machine.env })
      const deb = (await readdir(tmp)).find(name => name.endsWith('.deb'))
      if (!deb) throw new Error('apt-get has no package etcd-server')
      await run('dpkg-deb', ['-x', join(tmp, deb), root], { env: machine.env })
      await rename(join(root, 'usr/bin/etcd'), join(tmp, 'etcd'))
      await rm(root, { recursive: true })
    },
  })
  return look(join(dir, 'etcd'))
}
