import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What `shellcron up` reads from its environment. */
export interface Machine {
  /** Directory of the programs that were built or unpacked here. */
  cacheDir: string
  /** The directories of PATH. */
  path: string[]
  /** The command that runs Go. */
  go: string
  /** Where a package has its etcd. */
  packagedEtcd: string
  env: NodeJS.ProcessEnv
}

/** It fetches Go where the system has none. A release has no such file, and takes Go from PATH. */
const GO_OF_CHECKOUT = fileURLToPath(new URL('../../scripts/go', import.meta.url))

const DIST = fileURLToPath(new URL('../../dist', import.meta.url))

/** Removes variables from our environment, so that children do not inherit them. Answers the environment before, for one child. */
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
    packagedEtcd: join(DIST, `etcd-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`),
    env,
  }
}
