import { execFileSync } from 'node:child_process'
import { messageOf } from '../platform/errors.ts'
import { missingPackages } from '../test/servers/packages.ts'

/** Installs Debian packages, each given with a file of it, whose file does not exist. Needs root. If it fails, it says which are missing. */
export function installPackages(packages: Record<string, string>): void {
  const missing = missingPackages(packages)
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
    skipped(missing.join(', '), error)
  }
}

/** Says that the tests which need `what` are skipped. */
export function skipped(what: string, error: unknown): void {
  const why = messageOf(error).split('\n', 2).join(' ')
  process.stderr.write(`${what} could not be installed, so their tests are skipped: ${why}\n`)
}
