import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, copyFile, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'

/**
 * Where a launcher is started, so that it outlives its agent and its runs are born in the right place:
 *
 *   plain                in a session of its own
 *   where systemd runs   in a scope of its own, whose control groups are delegated: the end of the agent's unit does not reach it
 *   in a pod             as one of these, after entering the namespaces of the host's first process
 */
export interface Detachment {
  /** Enters the namespaces of PID 1. For a privileged pod with hostPID, whose state directory is the host's under the same path. */
  hostNamespaces?: boolean
  /** Where to look for the host's files, and the programs to call; other ones in tests. */
  root?: string
  systemdRun?: string
}

/** What systemd makes at its start, and nobody else. */
const SYSTEMD = '/run/systemd/system'
/** All but the user's and the process's: a pod with hostPID has the latter already. */
const ENTER = ['nsenter', '-t', '1', '-m', '-u', '-i', '-n', '-C', '--']

/**
 * The command lines that start the launcher of this state directory there, the best first: where one fails, the next may not. `unit` tells
 * a start from the one before.
 */
export function detachedCommand(
  { hostNamespaces = false, root = hostNamespaces ? '/proc/1/root' : '/', systemdRun }: Detachment,
  command: readonly string[],
  { stateDir, unit, uid }: { stateDir: string; unit: string; uid: number },
): (readonly string[])[] {
  const enter = hostNamespaces ? ENTER : []
  // In a pod our control group ends with it, and entering a namespace does not leave it.
  const plain = [...enter, ...command, ...(hostNamespaces ? ['--leave-group', 'shellcron'] : [])]
  if (!existsSync(join(root, SYSTEMD))) return [plain]
  const name = createHash('sha256').update(stateDir).digest('hex').slice(0, 8)
  const scope = [
    systemdRun ?? 'systemd-run',
    ...(uid === 0 ? [] : ['--user']),
    '--scope',
    '--quiet',
    '--collect',
    `--unit=shellcron-launcher-${name}-${unit}`,
    '--description=ShellCron launcher',
    '-p',
    'Delegate=yes',
    // systemd's own limit, 15 % of what the machine can, is for one service and not for everybody's commands.
    '-p',
    'TasksMax=infinity',
    '--',
  ]
  return [[...enter, ...scope, ...command], plain]
}

/**
 * Puts a program where the host has it too, in the place of an earlier version: what was armed with that one's path runs this one. Returns
 * its path. On a full disk the earlier version stays, if there is one.
 */
export async function copyToHost(program: string, stateDir: string, log: Log): Promise<string> {
  const path = join(stateDir, basename(program))
  const [own, there] = await Promise.all([readFile(program), readFile(path).catch(() => undefined)])
  if (there?.equals(own)) return path
  try {
    await copyFile(program, `${path}.new`)
    await chmod(`${path}.new`, 0o755)
    // One that runs must not be written over.
    await rename(`${path}.new`, path)
  } catch (error) {
    await rm(`${path}.new`, { force: true }).catch(() => undefined)
    if (!there) throw error
    log.warn({ path, error: messageOf(error) }, 'program.notCopied')
  }
  return path
}
