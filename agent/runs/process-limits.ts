import type { Command } from '../../core/records/entry.ts'

/** `ulimit -c` counts in blocks of 512 bytes in every POSIX shell. */
const BLOCK = 512

type Limits = NonNullable<NonNullable<Command['host']>['limits']>

/**
 * The command line with `host.limits`. A shell sets them as the run's user and becomes the command, because no other process can set them
 * before its first instruction. A limit above the machine's hard one ends the run with 125.
 */
export function limited(argv: readonly string[], limits: Limits | undefined): string[] {
  const lines = [
    ...limitLine('nofile', 'n', limits?.nofile),
    ...limitLine('core', 'c', limits?.core === undefined ? undefined : Math.floor(limits.core / BLOCK)),
  ]
  return lines.length === 0 ? [...argv] : ['/bin/sh', '-c', [...lines, 'exec "$@"'].join('\n'), 'sh', ...argv]
}

/** Both the soft and the hard limit. */
function limitLine(name: string, option: string, value: number | undefined): string[] {
  if (value === undefined) return []
  const message = `host.limits.${name} cannot be set: the hard limit of this machine is $(ulimit -H${option})`
  return [`ulimit -${option} ${value} 2>/dev/null || { echo "shellcron: ${message}" >&2; exit 125; }`]
}
