/**
 * Runs before `make test`: installs and builds the programs that the tests start, once per machine, so that no test waits for a compiler.
 * Packages need root. If they cannot be installed, the missing ones are listed, and their tests are skipped.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { messageOf } from '../platform/errors.ts'
import { criProgram, etcdPrograms, kubernetesPrograms } from '../test/servers/binaries.ts'
import { execBinary } from './go-programs.ts'

await etcdPrograms()
await kubernetesPrograms()
await criProgram()
await execBinary()
installPackages()

/** Installs the Debian packages of the container runtimes and PostgreSQL. A package is missing if its program is. */
function installPackages(): void {
  const programs = {
    containerd: '/usr/bin/containerd',
    runc: '/usr/sbin/runc',
    podman: '/usr/bin/podman',
    crun: '/usr/bin/crun',
    conmon: '/usr/bin/conmon',
    'busybox-static': '/bin/busybox',
    postgresql: '/usr/lib/postgresql',
  }
  const missing = Object.entries(programs).flatMap(([name, path]) => (existsSync(path) ? [] : [name]))
  if (missing.length === 0) return
  try {
    // Another process may hold the lock of dpkg: wait for it.
    const apt = (...args: string[]) =>
      execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=600', ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      })
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...missing)
  } catch (error) {
    const why = messageOf(error).split('\n', 2).join(' ')
    process.stderr.write(`${missing.join(', ')} could not be installed, so their tests are skipped: ${why}\n`)
  }
}
