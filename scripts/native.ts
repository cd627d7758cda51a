/**
 * The native launcher and the helper for containers, built once for each state of their sources and put where the agent looks for them:
 * `dist/launcher-linux-<architecture>`, `dist/exec-linux-<architecture>`.
 * Run by itself it does that for all architectures, with `--host` only for this machine's. Without Go, and with `--host` wherever it
 * cannot be built, it says so, and the portable launcher serves, without containers.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Machine, readMachine } from '../cli/up/config.ts'
import { messageOf } from '../runtime/errors.ts'
import { makeOnce } from '../runtime/make-once.ts'

const run = promisify(execFile)
const MODULE = fileURLToPath(new URL('../launcher', import.meta.url))
type Program = 'launcher' | 'exec'
const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const ARCHITECTURES = ['amd64', 'arm64']

/** The launcher's path in the cache. */
export function nativeLauncher(): Promise<string> {
  return built('launcher')
}

/** The path in the cache of the helper that runs commands in containers. */
export function nativeExec(): Promise<string> {
  return built('exec')
}

/** A program lies in the cache under the hash of its sources and of Go's version: other sources are another program. */
async function built(name: Program, architecture?: string): Promise<string> {
  const machine = readMachine()
  const arch = architecture ?? (await goEnv(machine, 'GOHOSTARCH'))
  const dir = join(machine.cacheDir, `${name}-${arch}-${await fingerprint(machine, name)}`)
  await makeOnce({
    dir,
    names: [name],
    make: tmp => compile(machine, name, { arch, output: join(tmp, name) }),
  })
  return join(dir, name)
}

/** Reproducible: the same sources and Go make the same bytes, wherever they lie. */
async function compile(
  machine: Machine,
  program: Program,
  { arch, output }: { arch: string; output: string },
): Promise<void> {
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', output]
  await run('go', ['build', ...flags, `./cmd/${program}`], {
    cwd: MODULE,
    env: { ...machine.env, CGO_ENABLED: '0', GOOS: 'linux', GOARCH: arch },
  })
}

async function fingerprint(machine: Machine, program: Program): Promise<string> {
  const hash = createHash('sha256').update(`${program}\0${await goEnv(machine, 'GOVERSION')}`)
  for (const name of (await readdir(MODULE, { recursive: true })).sort()) {
    if (!/\.go$|^go\.(mod|sum)$/.test(name) || name.endsWith('_test.go')) continue
    hash.update(`${name}\0`).update(await readFile(join(MODULE, name)))
  }
  return hash.digest('hex').slice(0, 12)
}

async function goEnv(machine: Machine, name: string): Promise<string> {
  const { stdout } = await run('go', ['env', name], { cwd: MODULE, env: machine.env })
  return stdout.trim()
}

async function install(name: Program, arch: string): Promise<void> {
  const path = join(DIST, `${name}-linux-${arch}`)
  await mkdir(DIST, { recursive: true })
  // One that runs must not be written over.
  await copyFile(await built(name, arch), `${path}.new`)
  await rename(`${path}.new`, path)
}

if (import.meta.main) {
  const hostOnly = process.argv.includes('--host')
  try {
    const host = await goEnv(readMachine(), 'GOHOSTARCH')
    for (const arch of hostOnly ? [host] : ARCHITECTURES) {
      await install('launcher', arch)
      await install('exec', arch)
    }
  } catch (error) {
    const noGo = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!noGo && !hostOnly) throw error
    const why = noGo ? 'there is no Go' : messageOf(error).split('\n', 3).join(' ')
    process.stderr.write(`no native launcher is built (${why}): the portable one serves\n`)
  }
}
