import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, copyFile, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'

/**
 * Where to start a launcher so that it outlives its agent, and its runs start in the right namespaces and control groups:
 *
 *   plain          in a session of its own
 *   with systemd   in a scope of its own with delegated control groups, so that stopping the agent's unit does not stop it
 *   in a pod       as one of these, after entering the namespaces of the host's PID 1
 */
export interface Detachment {
  /**
   * Enters the namespaces of PID 1. For a privileged pod with hostPID that mounts its state directory from the same path of the host.
   */
  hostNamespaces?: boolean
  /** The root of the host's files, and the `systemd-run` program. Tests set others. */
  root?: string
  systemdRun?: string
}

/** Exists only if systemd is the init system (sd_booted(3)). */
const SYSTEMD = '/run/systemd/system'
/** All namespaces except user and PID. A pod with hostPID is in the host's PID namespace already. */
const ENTER = ['nsenter', '-t', '1', '-m', '-u', '-i', '-n', '-C', '--']

/**
 * The command lines that start the launcher of this state directory. The best comes first; if it fails, try the next. `unit` makes the name
 * of the scope unique for each start.
 */
export function detachedCommand(
  { hostNamespaces = false, root = hostNamespaces ? '/proc/1/root' : '/', systemdRun }: Detachment,
  command: readonly string[],
  { stateDir, unit, uid }: { stateDir: string; unit: string; uid: number },
): (readonly string[])[] {
  const enter = hostNamespaces ? ENTER : []
  // A pod's control group ends with the pod, and entering a namespace does not leave the control group.
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
    // systemd's default of 15 % of the machine's limit is meant for one service, not for the commands of all jobs.
    '-p',
    'TasksMax=infinity',
    '--',
  ]
  return [[...enter, ...scope, ...command], plain]
}

/**
 * Copies a program to the state directory, where the host can run it, and returns its path. It replaces an earlier version, so armed runs
 * that name the path run the new version. If the copy fails, for example on a full disk, an earlier version is kept and used.
 */
export async function copyToHost(program: string, stateDir: string, log: Log): Promise<string> {
  const path = join(stateDir, basename(program))
  const [own, there] = await Promise.all([readFile(program), readFile(path).catch(() => undefined)])
  if (there?.equals(own)) return path
  try {
    await copyFile(program, `${path}.new`)
    await chmod(`${path}.new`, 0o755)
    // A running program cannot be overwritten, but its file can be replaced.
    await rename(`${path}.new`, path)
  } catch (error) {
    await rm(`${path}.new`, { force: true }).catch(() => undefined)
    if (!there) throw error
    log.warn({ path, error: messageOf(error) }, 'program.notCopied')
  }
  return path
}
