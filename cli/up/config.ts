import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What `shellcron up` takes from the environment of who calls it. */
export interface Machine {
  /** Where programs are kept that were built or unpacked for us. */
  cacheDir: string
  /** Directories in which programs are looked for. */
  path: string[]
  /** The command that runs Go. */
  go: string
  env: NodeJS.ProcessEnv
}

/** It fetches Go where the system has none. A release has no such file, and takes Go from PATH. */
const GO_OF_CHECKOUT = fileURLToPath(new URL('../../scripts/go', import.meta.url))

/** Variables of ours that only some child is to have: they are taken away here, and others do not inherit them. */
export function takeVariables(
  names: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const all = { ...env }
  for (const name of names) delete env[name]
  return all
}

export function readMachine(env: NodeJS.ProcessEnv = process.env): Machine {
  return {
    cacheDir: join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'shellcron'),
    path: (env['PATH'] ?? '').split(delimiter).filter(dir => dir !== ''),
    go: existsSync(GO_OF_CHECKOUT) ? GO_OF_CHECKOUT : 'go',
    env,
  }
}
