/**
 * Runs before `make test`: installs and builds the programs that the tests start, once per machine, so that no test waits for a compiler.
 * Packages need root. If they cannot be installed, the missing ones are listed, and their tests are skipped.
 */
import { criProgram, etcdPrograms, kubernetesPrograms } from '../test/servers/binaries.ts'
import { dockerProgram } from '../test/servers/docker.ts'
import { installPackages, skipped } from './apt.ts'
import { execBinary } from './go-programs.ts'
import { etcdFor, nfpm, nodeFor } from './package-parts.ts'

await etcdPrograms()
await kubernetesPrograms()
await criProgram()
await execBinary()
// A package is missing if its program is.
installPackages({
  containerd: '/usr/bin/containerd',
  runc: '/usr/sbin/runc',
  podman: '/usr/bin/podman',
  crun: '/usr/bin/crun',
  conmon: '/usr/bin/conmon',
  'busybox-static': '/bin/busybox',
  postgresql: '/usr/lib/postgresql',
})
await dockerProgram().catch((error: unknown) => skipped('docker.io', error))
if (process.platform === 'linux' && process.arch === 'x64') {
  await nfpm()
  await nodeFor('amd64')
  await etcdFor('amd64')
}
