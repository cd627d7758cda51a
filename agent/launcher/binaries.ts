import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { version } from '../../platform/version.ts'

/** Which launcher an agent starts: the native one where one was built for this machine, else the portable one. */
export interface LauncherProgram {
  implementation: 'native' | 'node'
  /** Tells it from any other: a living launcher that says another one is replaced when it is idle. */
  build: string
  /** The program and its first arguments; `--state DIR` is appended. */
  command: readonly string[]
}

/** Where `make build` puts the native one, `launcher-<os>-<architecture>` as Go names them. */
const DIST = fileURLToPath(new URL('../../dist', import.meta.url))
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** It holds little and for short: 30 MB less at its peak, and forking is cheaper the smaller it is. */
const FRUGAL = ['--max-semi-space-size=1', '--single-threaded-gc', '--v8-pool-size=1']

/** `dist`: where to look for the native one. */
export async function launcherProgram(dist = DIST): Promise<LauncherProgram> {
  const native = join(dist, `launcher-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`)
  try {
    await access(native, constants.X_OK)
    return { implementation: 'native', build: await buildOf(native), command: [native] }
  } catch {
    return { implementation: 'node', build: version, command: nodeLauncher() }
  }
}

/** Tells a native launcher from any other. */
export async function buildOf(path: string): Promise<string> {
  const digest = createHash('sha256').update(await readFile(path))
  return digest.digest('hex').slice(0, 12)
}

/** The helper that runs commands in containers, `exec-<os>-<architecture>`; undefined where none was built. */
export async function containerHelper(dist = DIST): Promise<string | undefined> {
  const path = join(dist, `exec-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`)
  return access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  )
}

/** How the launcher in TypeScript is called. */
export function nodeLauncher(): readonly string[] {
  return [process.execPath, ...FRUGAL, fileURLToPath(new URL('../../launcher/node/main.ts', import.meta.url))]
}
