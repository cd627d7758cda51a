import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidInput } from '../../core/errors.ts'

/** The launcher that an agent starts. */
export interface LauncherProgram {
  /** Identifies the program: an idle launcher that reports another build is replaced. */
  build: string
  /** The program and its first arguments; `--state DIR` is appended. */
  command: readonly string[]
}

/** Where `make build` puts the programs, named `<program>-<os>-<architecture>` in Go's terms. */
const DIST = fileURLToPath(new URL('../../dist', import.meta.url))
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Throws InvalidInput if `dist` has no launcher for this machine. */
export async function launcherProgram(dist = DIST): Promise<LauncherProgram> {
  const path = await programIn(dist, 'launcher')
  if (path === undefined) {
    throw new InvalidInput(
      'launcher',
      `no program ${pathOf(dist, 'launcher')}; in a checkout, run \`make build\` (needs Go); a release contains it`,
    )
  }
  return { build: await buildOf(path), command: [path] }
}

/** Differs between any two programs. */
export async function buildOf(path: string): Promise<string> {
  const digest = createHash('sha256').update(await readFile(path))
  return digest.digest('hex').slice(0, 12)
}

/** The helper that runs commands in containers; undefined if `dist` has none for this machine. */
export async function containerHelper(dist = DIST): Promise<string | undefined> {
  return programIn(dist, 'exec')
}

async function programIn(dist: string, name: string): Promise<string | undefined> {
  const path = pathOf(dist, name)
  return access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  )
}

function pathOf(dist: string, name: string): string {
  return join(dist, `${name}-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`)
}
