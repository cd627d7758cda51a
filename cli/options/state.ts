import { existsSync } from 'node:fs'
import { join } from 'node:path'
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
    `no operator runs on "${stateDir}"; start one, or name its state directory (for \`shellcron up DIR\`: DIR/.shellcron)`,
  )
}
