import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** What `shellcron up` reads from its environment. */
export interface Machine {
  /** Directory of the programs that were built or unpacked here. */
  cacheDir: string
  /** The directories of PATH. */
  path: string[]
  env: NodeJS.ProcessEnv
}

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
    env,
  }
}
