import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'

/** The option by which a command finds its operator. */
export function stateOption(): Option {
  return new Option(
    '--state <dir>',
    "the operator's state directory; for `shellcron up DIR` it is DIR/.shellcron",
  ).default('.shellcron')
}

/** The path of the operator's socket. Throws InvalidInput if there is no socket. */
export function socketIn(stateDir: string): string {
  const socket = join(stateDir, 'operator.sock')
  if (existsSync(socket)) return socket
  throw new InvalidInput(
    '--state',
    `no operator runs on "${stateDir}"; start one, or wait until it has started, or name its state directory (for \`shellcron up DIR\`: DIR/.shellcron)${kept(stateDir)}`,
  )
}

/** The log store outlives its operator. For messages: how to read it; empty: there is none. */
export function kept(stateDir: string): string {
  if (!existsSync(join(stateDir, 'shellcron.db'))) return ''
  return `. The results and outputs of earlier runs are kept in this directory: to read them, start the operator again, for example with ${restart(stateDir)}`
}

function restart(stateDir: string): string {
  const state = resolve(stateDir)
  return basename(state) === '.shellcron'
    ? `\`shellcron up ${dirname(state)}\``
    : `\`shellcron up DIR --state ${state}\``
}
