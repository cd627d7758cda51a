import type { Command } from '../../core/records/entry.ts'

/**
 * Variables that a command gets unless its job sets them. `machine`: those of the machine's local file, for commands on the host: a
 * container has its image's. HOME, USER, LOGNAME and PATH come from the launcher.
 */
export function defaultVariables(
  { shell, tty, container }: Command,
  machine: Readonly<Record<string, string>>,
): Record<string, string> {
  const terminal = tty ? { TERM: 'xterm-256color' } : {}
  return container ? terminal : { SHELL: namedShell(shell) ?? '/bin/sh', ...terminal, ...machine }
}

/**
 * As in cron, SHELL is the shell that runs the job, not the login shell of the user: /usr/sbin/nologin would break `flock -c`, `script -c`
 * and the like. A program that is not a shell, such as python3, cannot serve them either.
 */
function namedShell([program = '']: readonly string[]): string | undefined {
  return /^\/.*\/[a-z]*sh$/.test(program) ? program : undefined
}
