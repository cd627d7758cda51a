/**
 * Runs before `make test`: installs and builds the programs that the tests start, once per machine, so that no test waits for a compiler.
 * Packages need root. If they cannot be installed, the missing ones are listed, and their tests are skipped.
 */
import { execFileSync } from 'node:child_process'
import { messageOf } from '../platform/errors.ts'
import {
  argocdProgram,
  corednsProgram,
  criProgram,
  etcdPrograms,
  kstatusProgram,
  kubernetesPrograms,
  nodePrograms,
} from '../test/servers/binaries.ts'
import { whyNoCluster } from '../test/servers/cluster/requirements.ts'
import { helm3Program, helmProgram } from '../test/servers/helm.ts'
import { allPackages, missingPackages } from '../test/servers/packages.ts'
import { execBinary } from './go-programs.ts'

// Packages first: Helm is unpacked by one of them.
installPackages()
await etcdPrograms()
await kubernetesPrograms()
await criProgram()
await kstatusProgram()
await argocdProgram()
await execBinary()
if (!whyNoCluster()) {
  await nodePrograms()
  await corednsProgram()
  await helmProgram()
  await helm3Program()
}

/** Installs the Debian packages that tests need. A package is missing if its program is. */
function installPackages(): void {
  const missing = missingPackages(allPackages)
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
