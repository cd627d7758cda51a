import type { Command } from '../../core/records/entry.ts'

/** Variables that a command on a host gets unless its job sets them. HOME, USER, LOGNAME and PATH come from the launcher. */
export function defaultVariables({ shell }: Pick<Command, 'shell'>): Record<string, string> {
  return { SHELL: namedShell(shell) ?? '/bin/sh' }
}

/**
 * As in cron, SHELL is the shell that runs the job, not the login shell of the user: /usr/sbin/nologin would break `flock -c`, `script -c`
 * and the like. A program that is not a shell, such as python3, cannot serve them either.
 */
function namedShell([program = '']: readonly string[]): string | undefined {
  return /^\/.*\/[a-z]*sh$/.test(program) ? program : undefined
}
