/**
 * Builds the programs in Go and puts them where the agent looks for them: `dist/launcher-linux-<architecture>`, and
 * `dist/exec-linux-<architecture>`, the helper for containers. Builds for all architectures; with `--host`, for this machine only.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Machine, readMachine } from '../cli/up/config.ts'
import { makeOnce } from '../platform/make-once.ts'

const run = promisify(execFile)
const MODULE = fileURLToPath(new URL('../launcher', import.meta.url))
/** The package of a program is `cmd/<program>`. */
type Program = 'launcher' | 'exec'
const DIST = fileURLToPath(new URL('../dist', import.meta.url))

interface Platform {
  os: string
  arch: string
}

const RELEASED: readonly Platform[] = [
  { os: 'linux', arch: 'amd64' },
  { os: 'linux', arch: 'arm64' },
]

/** The path in the cache of this machine's launcher. `tags`: Go build tags; each set makes another program, even if no source uses them. */
export async function launcherBinary({ tags = [] }: { tags?: readonly string[] } = {}): Promise<string> {
  return built('launcher', await hostPlatform(readMachine()), tags)
}

/** The path in the cache of this machine's helper for containers. */
export async function execBinary(): Promise<string> {
  return built('exec', await hostPlatform(readMachine()))
}

/** The cache holds one program for each state of its sources, version of Go, and tags. */
async function built(name: Program, platform: Platform, tags: readonly string[] = []): Promise<string> {
  const machine = readMachine()
  const hash = await fingerprint(machine, tags)
  const dir = join(machine.cacheDir, `${name}-${platform.os}-${platform.arch}-${hash}`)
  const make = (tmp: string) => compile(machine, name, { platform, tags, output: join(tmp, name) })
  await makeOnce({ dir, names: [name], make })
  return join(dir, name)
}

/** Reproducible: the same sources, Go and tags make the same bytes in every directory. */
async function compile(
  machine: Machine,
  program: Program,
  { platform, tags, output }: { platform: Platform; tags: readonly string[]; output: string },
): Promise<void> {
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', `-tags=${tags.join(',')}`]
  await run(machine.go, ['build', ...flags, '-o', output, `./cmd/${program}`], {
    cwd: MODULE,
    env: { ...machine.env, CGO_ENABLED: '0', GOOS: platform.os, GOARCH: platform.arch },
  })
}

async function fingerprint(machine: Machine, tags: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  hash.update(`${await goEnv(machine, 'GOVERSION')}\0${tags.join(',')}\0`)
  const names = await readdir(MODULE, { recursive: true })
  for (const name of names.filter(isSource).sort())
    hash.update(`${name}\0`).update(await readFile(join(MODULE, name)))
  return hash.digest('hex').slice(0, 12)
}

const isSource = (name: string) => /\.go$|^go\.(mod|sum)$/.test(name) && !name.endsWith('_test.go')

async function hostPlatform(machine: Machine): Promise<Platform> {
  return { os: await goEnv(machine, 'GOHOSTOS'), arch: await goEnv(machine, 'GOHOSTARCH') }
}

async function goEnv(machine: Machine, name: string): Promise<string> {
  const { stdout } = await run(machine.go, ['env', name], { cwd: MODULE, env: machine.env })
  return stdout.trim()
}

async function install(name: Program, platform: Platform): Promise<void> {
  const path = join(DIST, `${name}-${platform.os}-${platform.arch}`)
  await mkdir(DIST, { recursive: true })
  // A running program's file cannot be written to, only replaced.
  await copyFile(await built(name, platform), `${path}.new`)
  await rename(`${path}.new`, path)
}

if (import.meta.main) {
  const platforms = process.argv.includes('--host') ? [await hostPlatform(readMachine())] : RELEASED
  for (const platform of platforms) {
    await install('launcher', platform)
    // Containers run on Linux.
    if (platform.os === 'linux') await install('exec', platform)
  }
}
