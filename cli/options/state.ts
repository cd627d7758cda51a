import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'

/** Where a command finds the operator that it talks to. */
export function stateOption(): Option {
  return new Option('--state <dir>', 'the state directory of the operator, as `up` was given it').default(
    '.shellcron',
  )
}

/** The operator's socket; InvalidInput if none is there. */
export function socketIn(stateDir: string): string {
  const socket = join(stateDir, 'operator.sock')
  if (existsSync(socket)) return socket
  throw new InvalidInput(
    '--state',
    `no operator runs on ${stateDir}; name the state directory of one that does (of \`shellcron up DIR\` it is DIR/.shellcron)`,
  )
}
