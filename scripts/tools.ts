/**
 * Before `make test`: installs and builds what the tests start, once for this machine, so that no test waits for a compiler. Who may not
 * install packages is told which tests are skipped without them.
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

/** Debian's packages of what runs containers, and of PostgreSQL; by a program of each. */
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
    // Two may do so at once: the lock is waited for.
    const apt = (...args: string[]) =>
      execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=600', ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      })
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...missing)
  } catch (error) {
    const why = messageOf(error).split('\n', 2).join(' ')
    process.stderr.write(`no tests of these: ${missing.join(', ')} could not be installed (${why})\n`)
  }
}
