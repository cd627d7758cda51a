/** What a package contains or needs beside our own code. Each part is made once for a machine, and is then in the cache. */
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readMachine } from '../cli/up/config.ts'
import { ETCD_VERSION } from '../cli/up/etcd-build.ts'
import { makeOnce } from '../platform/make-once.ts'

const run = promisify(execFile)
const SCRIPTS = fileURLToPath(new URL('.', import.meta.url))

/** An architecture in Go's and Debian's terms. */
export type Arch = 'amd64' | 'arm64'
const NODE_CPU = { amd64: 'x64', arm64: 'arm64' } as const

/** The directory of a Node for this architecture: `bin/node` and its LICENSE. It is the version that scripts/node names, from npm. */
export async function nodeFor(arch: Arch): Promise<string> {
  const version = /^version=(\S+)$/m.exec(await readFile(join(SCRIPTS, 'node'), 'utf8'))?.[1]
  if (!version) throw new Error('scripts/node names no version')
  const name = `node-linux-${NODE_CPU[arch]}`
  const { cacheDir } = readMachine()
  const dir = join(cacheDir, `${name}-${version}`)
  const make = async (tmp: string) => {
    // --force: npm refuses packages of another architecture.
    const args = [
      'install',
      '--prefix',
      join(tmp, 'npm'),
      '--no-save',
      '--no-package-lock',
      '--silent',
      '--force',
    ]
    await run('npm', [...args, '--os', 'linux', '--cpu', NODE_CPU[arch], `${name}@${version}`])
    const from = join(tmp, 'npm/node_modules', name)
    await mkdir(join(tmp, 'bin'))
    await cp(join(from, 'bin/node'), join(tmp, 'bin/node'))
    await cp(join(from, 'LICENSE'), join(tmp, 'LICENSE'))
  }
  await makeOnce({ dir, names: ['bin', 'LICENSE'], make })
  return dir
}

/** The path of an etcd for this architecture, built from the module in scripts/etcd. */
export async function etcdFor(arch: Arch): Promise<string> {
  return goProgram({
    module: 'etcd',
    name: `etcd-${arch}-v${ETCD_VERSION}`,
    from: 'go.etcd.io/etcd/server/v3',
    arch,
  })
}

/** The path of nfpm, which makes Debian packages. */
export async function nfpm(): Promise<string> {
  const from = 'github.com/goreleaser/nfpm/v2/cmd/nfpm'
  const mod = await readFile(join(SCRIPTS, 'nfpm/go.mod'), 'utf8')
  const version = /goreleaser\/nfpm\/v2 (v\S+)/.exec(mod)?.[1]
  return goProgram({ module: 'nfpm', name: `nfpm-${version}`, from })
}

/** Builds a Go package that scripts/<module>/go.mod pins. `name` is the name in the cache. Without `arch`, for this machine. */
async function goProgram(of: { module: string; name: string; from: string; arch?: Arch }): Promise<string> {
  const machine = readMachine()
  const dir = join(machine.cacheDir, of.name)
  const make = async (tmp: string) => {
    process.stderr.write(`building ${of.name} with Go, once for this machine; this may take two minutes\n`)
    const args = ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(tmp, of.module), of.from]
    await run('nice', [machine.go, ...args], {
      cwd: join(SCRIPTS, of.module),
      env: { ...machine.env, CGO_ENABLED: '0', ...(of.arch ? { GOOS: 'linux', GOARCH: of.arch } : {}) },
    })
  }
  await makeOnce({ dir, names: [of.module], make })
  return join(dir, of.module)
}
