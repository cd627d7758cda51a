/** Builds the native launcher for this machine, once for all processes; run by itself it prints where it lies. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Machine, readMachine } from '../cli/up/config.ts'
import { makeOnce } from '../runtime/make-once.ts'

const run = promisify(execFile)
const MODULE = fileURLToPath(new URL('../launcher/native', import.meta.url))
const NAME = 'launcher'

/** The program's path. It lies under the hash of its sources and of Go's version: other sources are another program. */
export async function nativeLauncher(signal?: AbortSignal): Promise<string> {
  const machine = readMachine()
  const dir = join(machine.cacheDir, `launcher-${await fingerprint(machine)}`)
  await makeOnce({
    dir,
    names: [NAME],
    make: tmp => compile(machine, join(tmp, NAME)),
    ...(signal && { signal }),
  })
  return join(dir, NAME)
}

/** Reproducible: the same sources and Go make the same bytes, wherever they lie. */
async function compile(machine: Machine, output: string): Promise<void> {
  await run('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', output, '.'], {
    cwd: MODULE,
    env: { ...machine.env, CGO_ENABLED: '0' },
  })
}

async function fingerprint(machine: Machine): Promise<string> {
  const hash = createHash('sha256')
  const { stdout } = await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], {
    cwd: MODULE,
    env: machine.env,
  })
  hash.update(stdout)
  for (const name of (await readdir(MODULE)).sort()) {
    if (name.endsWith('_test.go')) continue
    hash.update(`${name}\0`).update(await readFile(join(MODULE, name)))
  }
  return hash.digest('hex').slice(0, 12)
}

if (import.meta.main) process.stdout.write(`${await nativeLauncher()}\n`)
